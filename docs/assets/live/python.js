// Python for the pages. It is loaded, 16 MB, when a page first asks for it.
//
//   python.start()                    a promise of what runs: "Python 3.14, NumPy …"
//   python.call(file, name, given)    calls a function of a file in assets/ by keywords; a fourth
//                                     argument, a function, hears what is printed meanwhile
//   python.stop()                     ends it, whatever it does; the next call starts it anew
const python = (() => {
  const home = document.currentScript.src;
  let worker, started, fail;
  const waiting = new Map(); // those who called

  function start() {
    if (started) return started;
    worker = new Worker(new URL("worker.js", home), { type: "module" });
    started = new Promise((resolve, reject) => {
      fail = reject;
      worker.onerror = (event) => stop(event.message || "the worker ended");
      worker.onmessage = ({ data }) => {
        if (data.about) resolve(data.about);
        else if (data.failed) stop(data.failed);
        else if (data.part) waiting.get(data.id).hear?.(data.part);
        else {
          const { resolve, reject } = waiting.get(data.id);
          waiting.delete(data.id);
          if (data.error) reject(new Error(data.error));
          else resolve(data.result);
        }
      };
    });
    return started;
  }

  let count = 0;
  async function call(file, name, given, hear) {
    await start();
    return new Promise((resolve, reject) => {
      waiting.set((count += 1), { resolve, reject, hear });
      worker.postMessage({ id: count, file: `../${file}`, name, given });
    });
  }

  function stop(reason = "stopped") {
    if (!worker) return;
    worker.terminate();
    worker = started = undefined;
    for (const reject of [fail, ...[...waiting.values()].map((it) => it.reject)]) {
      reject(new Error(reason));
    }
    waiting.clear();
  }

  return { start, call, stop };
})();
