// First of all: a link's secret leaves the address before any other code runs.
import { opened } from "./viewer/secret";
import "./core/trusted";
import { missing } from "./core/support";
import { onVault, vault } from "./core/vault-client";
import { onViewer, viewer } from "./core/viewer-client";
import { start } from "./start";
import { startViewer } from "./viewer/start";

if (opened) startViewer(opened, viewer, onViewer, missing);
else start(vault, onVault);
