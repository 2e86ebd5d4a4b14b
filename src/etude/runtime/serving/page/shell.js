"use strict";
// What every page of ours begins with: elements, and words in the language of the browser. Nothing comes from elsewhere.
const at = (id) => document.getElementById(id);
const make = (tag, fields = {}, ...inside) => {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...inside);
  return element;
};
let words = {};
let language = "en";
const say = (word, fields = {}) =>
  (words[language][word] ?? word).replace(/\{(\w+)\}/g, (_, name) => fields[name] ?? "");
const percent = (share, digits = 1) =>
  new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits })
    .format(share);

async function readWords() {
  words = await (await fetch("/words.json")).json();
  return (navigator.languages ?? [navigator.language]).map((tag) => tag.slice(0, 2)).find((tag) => tag in words) ?? "en";
}

function labelPage(chosen) {
  language = chosen in words ? chosen : "en";
  document.documentElement.lang = at("language").value = language;
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
}
