// Says that these nodes show videos: editors with Nodes 2.0 otherwise guess from a node's inputs, and show an empty picture.
import { app } from "../../scripts/app.js";

const NODES = new Set(["VideoGenSaveSegment", "VideoGenCompileFilm"]);

app.registerExtension({
  name: "videogen.video",
  nodeCreated(node) {
    if (NODES.has(node.comfyClass)) node.previewMediaType = "video";
  },
});
