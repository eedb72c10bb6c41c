// All numbers of the playground come from playground.py: precomputed when the site was built, in
// precomputed/*.js, or computed by Python in this page. All players of a page share one Python.
const precomputed = {}; // by surface

const numbers = (() => {
  const home = document.currentScript.src;
  const kept = new Map(); // files, landscapes and maps, by what was asked for

  function remembered(key, make) {
    if (!kept.has(key)) kept.set(key, make());
    return kept.get(key);
  }

  // Fetch what was precomputed of a surface. A script can be read from a disk as well.
  const load = (surface) =>
    remembered(surface, () =>
      new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = new URL(`precomputed/${surface}.js`, home);
        script.onload = () => resolve(precomputed[surface]);
        script.onerror = () => {
          kept.delete(surface); // it may be there the next time
          reject(new Error(`cannot read ${script.src}`));
        };
        document.head.append(script);
      }),
    );

  // As docs_tools/precompute.py names a path.
  const keyOf = ({ start, condition, batch, lr, momentum, nesterov }) =>
    `${start} ${condition} ${batch} ${lr} ${momentum} ${momentum && nesterov ? 1 : 0}`;
  const optimizers = (settings) => ({
    sgd: keyOf({ ...settings, momentum: 0 }),
    momentum: keyOf(settings),
  });

  // Are exactly these settings precomputed?
  const has = (settings) =>
    Object.values(optimizers(settings)).every((key) => key in precomputed[settings.surface].paths);

  // The precomputed paths. A number that is the same at every place is kept once.
  function before(settings) {
    const path = (key) => {
      const found = { ...precomputed[settings.surface].paths[key] };
      for (const [name, value] of Object.entries(found)) {
        if (typeof value === "number") found[name] = Array(found.places.length).fill(value);
      }
      return found;
    };
    const { sgd, momentum } = optimizers(settings);
    return { sgd: path(sgd), momentum: path(momentum) };
  }

  const ask = (name, given) => python.call("playground/playground.py", name, given);

  // Both paths, with the Hessian at each place or, as a sketch, without.
  async function paths(settings, live, sketch) {
    return live ? ask(sketch ? "sketch" : "trace", settings) : before(settings);
  }

  function landscape({ surface, condition }) {
    const known = precomputed[surface].landscapes[condition];
    const given = { surface, condition };
    return known ?? remembered(JSON.stringify(given), () => ask("landscape", given));
  }

  function regimes({ surface, condition, nesterov }) {
    const known = precomputed[surface].maps[`${condition} ${Number(nesterov)}`];
    const given = { surface, condition, nesterov };
    return known ?? remembered(JSON.stringify(given), () => ask("regimes", given));
  }

  return { load, has, paths, landscape, regimes };
})();
