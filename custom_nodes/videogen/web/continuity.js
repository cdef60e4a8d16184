// Shows the result of the last run on nodes that measure or tell something: a score and its curve, or lines of text.
import { app } from "../../scripts/app.js";

const NODES = new Set(["VideoGenContinuity", "VideoGenFrameCheck", "VideoGenFitModel", "VideoGenSegment"]);
const HEIGHT = 84;
const MARGIN = 6;
const WIDTH = 240;
const COLORS = { pass: "#6fbf5a", warn: "#e8a13c", fail: "#e0584f", none: "#8a8a8a" };
const CURVES = ["#4c9be8", "#e8a13c", "#6fbf5a", "#d9658b", "#9c7be0"];

/** What is shown, out of a node's `ui` result; null for anything that is not of our nodes. */
export function readResult(output) {
  const record = output?.videogen?.[0];
  if (!record || typeof record !== "object") return null;
  const scores = record.continuity?.scores;
  if (record.title) return { level: "pass", title: record.title, score: null, curves: [], lines: record.report ?? [] };
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

/** An element with styles, attributes and children; children that are text stay text, whatever is written in them. */
function make(tag, style, attributes = {}, ...children) {
  const svg = tag === "svg" || tag === "path";
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  Object.assign(element.style, style);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function showResult(view, result) {
  const words = result.curves.length
    ? [result.score === null ? "no score" : "", Number.isFinite(result.temporal) ? `temporal ${result.temporal.toFixed(2)}` : ""]
    : [];
  const headline =
    result.title ? result.title : result.score === null ? ({ pass: "ok", warn: "odd", fail: "fails" }[result.level] ?? "–") : result.score.toFixed(2);
  const head = make(
    "div",
    { flex: "none", whiteSpace: "nowrap", overflow: "hidden", textOverflow: "ellipsis" },
    {},
    make("b", { color: COLORS[result.level] ?? COLORS.none, fontSize: "17px", marginRight: "6px" }, {}, headline), " ",
    words.filter(Boolean).join(" · "),
  );
  const body = result.curves.length
    ? drawCurves(result)
    : make("div", { flex: "1 1 0", minHeight: "0", overflow: "auto", whiteSpace: "pre-wrap" }, {}, result.lines.join("\n"));
  view.title = result.lines.join("\n");
  view.replaceChildren(head, body);
}

/** The curves over the frames, in the square from 0 to 1 that the element stretches, and the threshold as a dashed line. */
function drawCurves(result) {
  const last = Math.max(1, result.frames - 1);
  const place = ([frame, value]) => `${Math.min(1, frame / last)} ${1 - Math.min(1, Math.max(0, value))}`;
  const line = (points, color, width, more = {}) =>
    make("path", {}, {
      d: `M ${points.join(" L ")}`,
      fill: "none",
      stroke: color,
      "stroke-width": width,
      "stroke-linecap": "round",
      "vector-effect": "non-scaling-stroke",
      ...more,
    });
  const threshold = [place([0, result.threshold]), place([last, result.threshold])];
  const paths = [line(threshold, "rgba(140,140,140,.6)", 1, { "stroke-dasharray": "3 3" })];
  result.curves.forEach((curve, index) => {
    const motion = curve.name === "temporal" && index === result.curves.length - 1;
    const points = curve.points.map(place);
    // A line to itself is a dot.
    if (points.length === 1) paths.push(line([points[0], points[0]], motion ? "rgba(150,150,150,.8)" : CURVES[index % CURVES.length], 5));
    else paths.push(line(points, motion ? "rgba(150,150,150,.8)" : CURVES[index % CURVES.length], motion ? 1 : 2));
  });
  const style = { flex: "1 1 0", minHeight: "0", width: "100%", overflow: "visible", padding: "3px 2px", boxSizing: "border-box" };
  return make("svg", style, { viewBox: "0 0 1 1", preserveAspectRatio: "none" }, ...paths);
}

function makeView() {
  const style = {
    display: "flex",
    flexDirection: "column",
    boxSizing: "border-box",
    minHeight: `${HEIGHT - 2 * MARGIN}px`,
    padding: "2px 6px",
    overflow: "hidden",
    font: "11px sans-serif",
    lineHeight: "1.35",
    color: "var(--descrip-text, #999)",
    userSelect: "text",
  };
  return make("div", style, { class: "videogen-result" }, "No result yet: run the workflow.");
}

app.registerExtension({
  name: "videogen.continuity",
  nodeCreated(node) {
    if (!NODES.has(node.comfyClass)) return;
    const view = makeView();
    // An element, not a drawing: Nodes 2.0 draws a canvas widget once. It has its room from the start, so that no node
    // grows over its neighbor when a result comes. It is part of neither the saved workflow nor what is submitted, and not
    // in the panel of a selected node: an element is in one place only, and the node would lose it.
    const widget = node.addDOMWidget("continuity", "videogen.continuity", view, {
      serialize: false,
      hideInPanel: true,
      hideOnZoom: false,
      margin: MARGIN,
      getMinHeight: () => HEIGHT,
    });
    widget.serialize = false;
    if (node.size[0] < WIDTH) node.setSize([WIDTH, node.size[1]]); // a new one; one that is loaded gets its size later
    const before = node.onExecuted;
    node.onExecuted = function (output, ...rest) {
      before?.call(this, output, ...rest);
      const found = readResult(output);
      if (!found) return;
      node.videogenContinuity = found;
      showResult(view, found);
    };
  },
});
