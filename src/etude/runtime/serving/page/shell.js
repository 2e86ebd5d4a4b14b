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
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  document.title = document.querySelector("h1").textContent;
  for (const element of document.querySelectorAll("[data-told]")) phrase(element);
  for (const element of document.querySelectorAll("[data-called]")) {
    const { called, label } = JSON.parse(element.dataset.called);
    element.textContent = nameOf(called, label);
  }
}

// A text that follows the language, in an element or in one of its attributes. Where a field is an error, it is told why;
// where it is a class, {called, label}, it is named.
function tell(element, told, fields = {}, into = "") {
  const plain = ([name, value]) => [name, value instanceof Error ? { error: causes(value) } : value];
  element.dataset.told = JSON.stringify({ told, ...Object.fromEntries(Object.entries(fields).map(plain)) });
  if (into) element.dataset.into = into;
  phrase(element);
  return element;
}

function phrase(element) {
  const { told, ...fields } = JSON.parse(element.dataset.told);
  for (const name in fields) {
    if (fields[name]?.error) fields[name] = why(fields[name].error);
    else if (fields[name]?.label) fields[name] = nameOf(fields[name].called, fields[name].label);
  }
  if (element.dataset.into) element.setAttribute(element.dataset.into, say(told, fields));
  else element.textContent = say(told, fields);
}

function hush(element) {
  delete element.dataset.told;
  element.textContent = "";
}

const causes = ({ code, cause, facts, message }) => ({ code, cause, facts, message });

// A class by the name that it has in the language of the page; `called` has those that differ, by language.
const nameOf = (called, label) => called?.[language]?.[label] ?? label;

// An element that is called after a class, in whatever language the page has then.
function showClass(element, called, label) {
  element.dataset.called = JSON.stringify({ called, label });
  element.textContent = nameOf(called, label);
  return element;
}

// What went wrong, in the most specific words that there are, which may quote the server's own; else in these.
function why({ code, cause, facts, message }) {
  const word = [`error_${code}_${cause}`, `error_${code}`].find((each) => each in words[language]);
  const number = (fact) => (typeof fact === "number" ? new Intl.NumberFormat(language).format(fact) : fact);
  const told = Object.fromEntries(Object.entries(facts ?? {}).map(([name, fact]) => [name, number(fact)]));
  return word ? say(word, { reason: message, ...told }) : message;
}

const failure = (message, fields) => Object.assign(new Error(message), fields);

// Ask; what is refused is thrown, with its code, its cause and its facts.
async function request(path, options = {}) {
  const answer = await fetch(path, options).catch((error) => { throw failure(error.message, { code: "unreachable" }); });
  if (answer.ok) return answer;
  const { status } = answer;
  const given = (await answer.json().catch(() => null))?.error;
  const told = given?.code ? given : { code: "status", facts: { status }, message: answer.statusText };  // a proxy's, say
  const retryS = Number(answer.headers.get("retry-after")) || 1;
  throw failure(told.message, { status, code: told.code, cause: told.cause, facts: told.facts, retryS });
}
