// Written by hatch-model. Without it, the pages show all models, and an address to replace.
"use strict";

for (const each of document.querySelectorAll("[data-address]")) {
  each.textContent = new URL(each.dataset.address, location.href).href.replace(/#.*/, "") + (each.dataset.hash || "");
}

const search = document.querySelector(".search");
if (search) {
  const input = search.querySelector("input");
  const count = document.querySelector(".count");
  const models = [...document.querySelectorAll(".models > li")];
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const model of models) {
      const text = model.dataset.search;
      model.hidden = !words.every((word) => text.includes(word));
      found += !model.hidden;
    }
    count.textContent = `${found} of ${models.length} models`;
  };
  search.hidden = false;
  input.addEventListener("input", filter);
  if (input.value) filter();
}
