// File → Adopt for a Story, also in the menu of the canvas: puts Story, Segment and Fit to Model into the open workflow.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

const COMMAND = "videogen.adopt";
const LABEL = "Adopt for a Story (videogen)";

function tell(severity, summary, detail) {
  app.extensionManager.toast.add({ severity, summary, detail, life: severity === "error" ? 15000 : 8000 });
}

/** The name of the open workflow without its folder and suffix; "" for one that has none yet. */
function titleOf(workflow) {
  const name = workflow?.filename ?? "";
  return /^unsaved workflow/i.test(name) ? "" : name;
}

/** The workflow with the story's nodes in it, and what somebody should know; an error with the server's sentence. */
export async function requestAdoption(title) {
  const { workflow, output } = await app.graphToPrompt();
  const known = await api.getNodeDefs();
  const used = new Set(Object.values(output).map((node) => node.class_type));
  const schemas = Object.fromEntries([...used].filter((kind) => known[kind]).map((kind) => [kind, known[kind]]));
  const response = await api.fetchApi("/videogen/adopt", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ workflow, output, schemas, title }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function adopt() {
  const open = app.extensionManager.workflow?.activeWorkflow;
  try {
    const { workflow, notes } = await requestAdoption(titleOf(open));
    // Without a workflow of its own it opens beside the one that it was made of.
    await app.loadGraphData(workflow, true, true, null);
    tell("success", "The workflow tells a story", ["Choose a story in Story; index in Segment is what Run renders.", ...notes].join("\n"));
  } catch (error) {
    tell("error", "The workflow was not adopted", error.message);
  }
}

app.registerExtension({
  name: "videogen.adopt",
  commands: [{ id: COMMAND, label: LABEL, icon: "pi pi-book", function: adopt }],
  menuCommands: [{ path: ["File"], commands: [COMMAND] }],
  getCanvasMenuItems: () => [{ content: LABEL, callback: adopt }],
});
