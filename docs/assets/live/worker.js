// Python beside the page, which stays smooth while it loads and computes.
import { loadPyodide } from "../pyodide/pyodide.mjs";

const load = async (path) => {
  const answer = await fetch(new URL(path, self.location));
  if (!answer.ok) throw new Error(`${answer.url}: ${answer.status}`);
  return answer.arrayBuffer();
};

// Of a traceback, the line with the error.
function reason(error) {
  const lines = String(error.message ?? error).trim().split("\n");
  return lines.findLast((line) => /^[\w.]+(Error|Exception)\b/.test(line)) ?? lines.at(-1);
}

// Where its largest file does not arrive, Pyodide waits for ever and tells nobody. So watch it.
const missing = new Promise((resolve, reject) => {
  const { instantiateStreaming } = WebAssembly;
  WebAssembly.instantiateStreaming = (...given) => {
    const made = instantiateStreaming(...given);
    made.catch(reject);
    return made;
  };
});

async function boot() {
  const python = await Promise.race([loadPyodide(), missing]);
  await python.loadPackage("numpy", { messageCallback() {} });
  python.unpackArchive(await load("tinygrad_edu.zip"), "zip");
  python.registerJsModule("browser", { say: (part) => postMessage({ id: current, part }) });
  return python;
}

// A file of Python in assets/, as a module.
async function module(python, file) {
  const name = file.split("/").at(-1).replace(".py", "");
  if (!python.FS.analyzePath(`${name}.py`).exists) {
    python.FS.writeFile(`${name}.py`, new Uint8Array(await load(file)));
    python.runPython("import importlib; importlib.invalidate_caches()");
  }
  return python.pyimport(name);
}

let current; // the number of the call that is being answered

const booting = boot().then((python) => {
  const about = python.runPython(`
import json, sys, numpy, tinygrad_edu

def answer(function, given):
    return json.dumps(function(**json.loads(given)))

f"Python {sys.version.split()[0]}, NumPy {numpy.__version__}, tinygrad_edu {tinygrad_edu.__version__}"`);
  postMessage({ about });
  return python;
});
booting.catch((error) => postMessage({ failed: reason(error) }));

// Calls are answered one by one, in their order; what comes and goes passes through JSON.
let last = booting;
onmessage = ({ data: { id, file, name, given } }) => {
  last = last.then(async (python) => {
    current = id;
    try {
      const called = (await module(python, file))[name];
      const answer = python.globals.get("answer")(called, JSON.stringify(given));
      postMessage({ id, result: JSON.parse(answer) });
    } catch (error) {
      postMessage({ id, error: reason(error) });
    }
    return python;
  });
};
