// Say something in the language of the page: tr("{} of {}", 3, 5). The English words are the key to
// those of another edition, which stand in `words`, and may take the values in another order: {2}.
const tr = (text, ...values) => {
  let next = 0;
  const found = globalThis.words?.[text] ?? text;
  return found.replace(/\{(\d*)\}/g, (_, number) => values[number ? number - 1 : next++]);
};

// Join whole sentences: Chinese ones without a space.
const sentences = (...told) => told.join(globalThis.words ? "" : " ");
