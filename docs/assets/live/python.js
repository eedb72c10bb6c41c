// Python for the pages. It is loaded, 15 MB, when a page first asks for it.
//
//   python.start()                    a promise of what runs: "Python 3.14, NumPy …"
//   python.call(file, name, given)    calls a function of a file in assets/ by keywords
//   python.stop()                     ends it, whatever it does; the next call starts it anew
const python = (() => {
  const home = document.currentScript.src;
  let worker, started, giveUp;
  const waiting = new Map();

  function start() {
    if (started) return started;
    const mine = new Worker(new URL("worker.js", home), { type: "module" });
    worker = mine;
    started = new Promise((resolve, reject) => {
      giveUp = reject;
      worker.onmessage = ({ data }) => {
        if (data.about) resolve(data.about);
        else if (data.failed) reject(new Error(data.failed));
        else {
          const { resolve, reject } = waiting.get(data.id);
          waiting.delete(data.id);
          if (data.error) reject(new Error(data.error));
          else resolve(data.result);
        }
      };
      worker.onerror = (event) => reject(new Error(event.message || "no worker"));
    });
    started.catch(() => {
      if (worker === mine) stop();
    });
    return started;
  }

  let count = 0;
  async function call(file, name, given) {
    await start();
    return new Promise((resolve, reject) => {
      waiting.set((count += 1), { resolve, reject });
      worker.postMessage({ id: count, file: `../${file}`, name, given });
    });
  }

  function stop() {
    worker?.terminate();
    giveUp?.(new Error("stopped"));  // while it was loading
    worker = started = undefined;
    for (const { reject } of waiting.values()) reject(new Error("stopped"));
    waiting.clear();
  }

  return { start, call, stop };
})();
