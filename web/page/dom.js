// Small helpers over the document.

/** The element with that id. */
export const $ = (id) => document.getElementById(id);

/** A new element with properties and children; text is never markup. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Shows or hides elements. */
export function show(visible, ...ids) {
  for (const id of ids) $(id).hidden = !visible;
}

/** A table row: a header cell and cells. */
export function row(header, ...cells) {
  return element("tr", {}, element("th", { scope: "row" }, header), ...cells.map((cell) => element("td", {}, String(cell))));
}

/** Has the browser save `content` as the file `name`. */
export function save(content, name, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Calls `take` with what is dropped on the element, and marks it meanwhile. */
export function dropped(id, take) {
  const place = $(id);
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("over");
  });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    take(event.dataTransfer);
  });
}

/** `1 photograph`, `2 photographs`. */
export const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

/** A duration in words. */
export function duration(seconds) {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
