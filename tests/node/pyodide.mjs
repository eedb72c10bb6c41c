// Run Python, as the pages do, but under Node: node pyodide.mjs FOLDER PROGRAM.py
// FOLDER is the repository's; it is seen by the program as /repository.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, program] = process.argv.slice(2);
const pyodide = pathToFileURL(`${folder}/build/pages/docs/assets/pyodide/pyodide.mjs`);
const { loadPyodide } = await import(pyodide);
const python = await loadPyodide();
await python.loadPackage("numpy", { messageCallback() {} });
python.FS.mkdir("/repository");
python.FS.mount(python.FS.filesystems.NODEFS, { root: folder }, "/repository");
process.exitCode = python.runPython(readFileSync(program, "utf8"));
