// Where a page has players, load what they need, and make them.
//
//   <div class="playground"></div>                            all of it; it has the page's address
//   <div class="playground" data-preset="surface=ball"></div>  a small one, with these settings
//
// A small one may have data-sliders="lr momentum", those that it offers, and data-play, to play by
// itself where motion is welcome. Of a link with ?present, the first player fills a wide window.
(() => {
  const boxes = [...document.querySelectorAll(".playground")];
  const FILES = [
    ...["../d3-array/d3-array.min.js", "../d3-contour/d3-contour.min.js", "plots.js"],
    ...["numbers.js", "controls.js", "ring.js", "present.js", "player.js"],
  ];
  const { src } = document.currentScript;

  function load(file) {
    const script = document.createElement("script");
    script.src = new URL(file, src);
    script.async = false; // in this order
    document.head.append(script);
    return new Promise((resolve) => (script.onload = resolve));
  }

  async function start() {
    await Promise.all(FILES.map(load));
    const wide = matchMedia("(min-width: 60em)").matches; // as in playground.css
    const presented = wide && new URLSearchParams(location.search).has("present");
    if (presented) new Player(boxes.shift(), true);
    // What is far down the page is made when it comes near.
    const near = new IntersectionObserver(
      (entries) => {
        for (const { isIntersecting, target } of entries) {
          if (!isIntersecting) continue;
          near.unobserve(target);
          new Player(target);
        }
      },
      { rootMargin: "600px" },
    );
    boxes.forEach((box) => near.observe(box));
  }
  if (boxes.length) start();
})();
