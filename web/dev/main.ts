import { start } from "../src/start";
import { fakeVault, onFake } from "./fake-vault";

start(fakeVault, onFake);
