"use strict";
// Everything is there without this: it finds, lights up what belongs together, and moves with the keyboard.
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const finder = document.getElementById("finder");
const find = document.getElementById("find");
const found = document.getElementById("found");
const entries = all(".entry");
let texts = null;

function search() {
  const wanted = find.value.trim().toLowerCase();
  texts ??= entries.map((entry) => entry.textContent.toLowerCase());
  let hits = 0;
  entries.forEach((entry, index) => {
    entry.hidden = !texts[index].includes(wanted);
    hits += entry.hidden ? 0 : 1;
  });
  for (const group of all(".group")) {
    const left = all(":scope > .entry:not([hidden])", group).length;
    group.hidden = left === 0;
    group.open = wanted !== "" && left > 0;
  }
  found.textContent = wanted === "" ? "" : `${hits} found`;
}

find.addEventListener("input", search);
finder.hidden = false;

// What is linked to is opened.
function reveal() {
  const target = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
  if (target === null) return;
  for (let each = target; each !== null; each = each.parentElement) {
    if (each.tagName === "DETAILS") each.open = true;
  }
  target.scrollIntoView();
}
addEventListener("hashchange", reveal);
reveal();

document.addEventListener("keydown", (event) => {
  const at = document.activeElement;
  if (event.key === "Escape") {
    const open = at.closest("details[open]");
    if (at === find && find.value !== "") {
      find.value = "";
      search();
    } else if (open !== null) {
      open.open = false;
      open.querySelector("summary").focus();
    } else return;
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const kind = ["summary", ".row a"].find((selector) => at.matches(selector));
    if (kind === undefined) return;
    const others = all(kind).filter((each) => each.checkVisibility());
    others[others.indexOf(at) + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
  } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    const right = event.key === "ArrowRight";
    const row = at.matches(".row a") ? at.closest(".row") : null;
    if (row !== null) {
      const beside = right ? words(row.dataset.to) : leading(row.dataset.row);
      rows.get(beside[0])?.querySelector("a").focus();
    } else if (at.matches("summary")) {
      at.parentElement.open = right;
    } else return;
  } else return;
  event.preventDefault();
});

// A row of the picture lights up with all that leads to it and all that it leads to.
const lanes = document.querySelector(".lanes");
const rows = new Map(all(".row").map((row) => [row.dataset.row, row]));
const lines = all(".strip path");
const words = (text) => (text ? text.split(" ") : []);
const above = new Map();
for (const row of rows.values()) {
  for (const to of words(row.dataset.to)) above.set(to, [...(above.get(to) ?? []), row.dataset.row]);
}
for (const row of rows.values()) {
  if (!row.dataset.row.startsWith("layer")) continue;
  for (const on of words(row.dataset.on)) above.set(on, [...(above.get(on) ?? []), row.dataset.row]);
}

// The rows of the lane before that lead to one.
function leading(key) {
  return (above.get(key) ?? []).filter((each) => each.split("-")[0] !== key.split("-")[0]);
}

function closure(start, next) {
  const seen = new Set([start]);
  for (const each of seen) next(each).forEach((other) => seen.add(other));
  return seen;
}

function light(row) {
  const key = row.dataset.row;
  const down = closure(key, (each) => [...words(rows.get(each).dataset.to), ...words(rows.get(each).dataset.on)]);
  const up = closure(key, (each) => above.get(each) ?? []);
  const lit = new Set([...down, ...up]);
  lanes.classList.add("dim");
  for (const [each, other] of rows) other.classList.toggle("lit", lit.has(each));
  for (const line of lines) line.classList.toggle("lit", words(line.dataset.line).every((each) => lit.has(each)));
}

function unlight() {
  lanes.classList.remove("dim");
  for (const row of rows.values()) row.classList.remove("lit");
  for (const line of lines) line.classList.remove("lit");
}

for (const row of rows.values()) {
  row.addEventListener("pointerenter", () => light(row));
  row.addEventListener("pointerleave", unlight);
  row.addEventListener("focusin", () => light(row));
  row.addEventListener("focusout", unlight);
}
