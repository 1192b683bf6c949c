// Everything works without these, apart from what moves by itself.
import { startLive, startSending } from "./live.js";
import { startOnce } from "./once.js";
import { startComboboxes } from "./combobox.js";
import { restoreSelection, startSelecting } from "./select.js";
import { startTimes } from "./times.js";
import { startCopying } from "./copy.js";

const start = (root) => {
  startTimes(root);
  startCopying(root);
  startComboboxes(root);
  startSelecting(root);
  startSending(root);
  startLive(root, start);
};
start(document);
startOnce();
restoreSelection();
