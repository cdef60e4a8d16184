// Shows the result of the last run on a Continuity node: the score, and its curve over the frames.
import { app } from "../../scripts/app.js";

const NODES = new Set(["VideoGenContinuity", "VideoGenFrameCheck"]);
const HEIGHT = 76;
const COLORS = { pass: "#6fbf5a", warn: "#e8a13c", fail: "#e0584f", none: "#8a8a8a" };

/** What is drawn, out of a node's `ui` result; null for anything that is not of our nodes. */
export function readResult(output) {
  const record = output?.videogen?.[0];
  if (!record || typeof record !== "object") return null;
  const scores = record.continuity?.scores;
  if (!scores) {
    return { level: record.ok ? "pass" : "fail", score: null, curves: [], lines: record.report ?? [] };
  }
  const subjects = (scores.subjects ?? []).filter((subject) => subject.kind === "character");
  const curves = subjects.map((subject) => ({ name: subject.label, points: byFrame(subject.samples ?? []) }));
  const motion = (scores.temporal?.curve ?? []).map((value, index) => [index + 1, value]);
  if (motion.length) curves.push({ name: "temporal", points: motion });
  return {
    level: record.verdict?.level ?? "none",
    score: Number.isFinite(record.score) ? record.score : null,
    temporal: scores.temporal?.score ?? null,
    frames: scores.frames?.count ?? 0,
    threshold: record.continuity.thresholds?.character ?? 0.85,
    curves: curves.filter((curve) => curve.points.length),
    lines: record.report ?? [],
  };
}

/** The lowest of all comparisons of each sampled frame: [[frame, score], …]. */
function byFrame(samples) {
  const found = new Map();
  for (const { frame, score } of samples) {
    if (Number.isFinite(score)) found.set(frame, [...(found.get(frame) ?? []), score]);
  }
  return [...found].sort((a, b) => a[0] - b[0]).map(([frame, all]) => [frame, Math.min(...all)]);
}

function draw(context, result, width, top) {
  const left = 15, right = width - 15;
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, HEIGHT);
  context.clip();
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillStyle = COLORS[result.level] ?? COLORS.none;
  context.font = "bold 17px sans-serif";
  const headline = result.score === null ? { pass: "ok", warn: "odd", fail: "fails" }[result.level] ?? "–" : result.score.toFixed(2);
  context.fillText(headline, left, top + 11);
  context.font = "11px sans-serif";
  context.fillStyle = globalThis.LiteGraph?.WIDGET_SECONDARY_TEXT_COLOR ?? "#999";
  const temporal = Number.isFinite(result.temporal) ? `temporal ${result.temporal.toFixed(2)}` : "";
  const words = result.curves.length ? [result.score === null ? "no score" : "", temporal] : [result.lines[0] ?? ""];
  context.fillText(words.filter(Boolean).join(" · "), left + 54, top + 12);
  if (result.curves.length) drawCurves(context, result, left, right, top + 26, HEIGHT - 30);
  context.restore();
}

function drawCurves(context, result, left, right, top, height) {
  const last = Math.max(1, result.frames - 1);
  const place = ([frame, value]) => [
    left + (right - left) * Math.min(1, frame / last),
    top + height * (1 - Math.min(1, Math.max(0, value))),
  ];
  context.strokeStyle = "rgba(140,140,140,.6)";
  context.setLineDash([3, 3]);
  context.beginPath();
  context.moveTo(left, place([0, result.threshold])[1]);
  context.lineTo(right, place([0, result.threshold])[1]);
  context.stroke();
  context.setLineDash([]);
  const colors = ["#4c9be8", "#e8a13c", "#6fbf5a", "#d9658b", "#9c7be0"];
  result.curves.forEach((curve, index) => {
    const motion = curve.name === "temporal" && index === result.curves.length - 1;
    context.strokeStyle = context.fillStyle = motion ? "rgba(150,150,150,.8)" : colors[index % colors.length];
    context.lineWidth = motion ? 1 : 2;
    context.beginPath();
    curve.points.map(place).forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
    if (curve.points.length === 1) context.fillRect(...place(curve.points[0]).map((value) => value - 2), 4, 4);
  });
}

app.registerExtension({
  name: "videogen.continuity",
  nodeCreated(node) {
    if (!NODES.has(node.comfyClass)) return;
    let result = null;
    const widget = {
      name: "continuity",
      type: "videogen.continuity",
      value: null,
      serialize: false, // neither part of the saved workflow, nor of what is submitted
      options: { serialize: false },
      // Before the first run there is nothing to show, and the widget has no height.
      computeSize: (width) => [width, result ? HEIGHT : -4],
      draw: (context, _node, width, top) => {
        if (result) draw(context, result, width, top);
        widget.drawn = Boolean(result);
      },
    };
    node.addCustomWidget(widget);
    const before = node.onExecuted;
    node.onExecuted = function (output, ...rest) {
      before?.call(this, output, ...rest);
      const found = readResult(output);
      if (!found) return;
      result = found;
      node.videogenContinuity = found;
      const [, least] = node.computeSize();
      if (node.size[1] < least) node.setSize([node.size[0], least]);
      node.setDirtyCanvas(true, true);
    };
  },
});
