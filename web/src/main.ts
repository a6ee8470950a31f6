import "./core/trusted";
import { onVault, vault } from "./core/vault-client";
import { start } from "./start";

start(vault, onVault);
