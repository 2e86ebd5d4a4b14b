// A library by class, and the corrections of the person who knows better.
let classes = [], called = {}, counts = [], broken = [], size = 60, last = null, readOnly = false;
let asked = 0;  // how many times a list was begun: an answer to an earlier choice comes too late
const drawn = new Map();  // how to draw a picture anew, by its number
const get = async (path) => (await request(path)).json();
// What stands in the way, such as a library that another program holds, is told.
const telling = (work) => async (...given) => {
  try { await work(...given); }
  catch (error) { tell(at("status"), "unread", { reason: error }); }
};

async function start() {
  labelPage(await readWords());
  await readCounts();
  await speak(language);
}

async function readCounts() {
  ({ classes, called, counts, broken, page: size, read_only: readOnly } = await get("/api/classes"));
  at("protected").hidden = !readOnly;
}

async function speak(chosen) {
  labelPage(chosen);
  drawClasses();
  at("broken").hidden = broken.length === 0;
  at("broken").querySelector("summary").textContent = say("broken", { count: broken.length });
  at("broken").querySelector("ul").replaceChildren(...broken.map((file) => make("li", { textContent: reasonOf(file) })));
  await show();
}

// In words of the language where the library noted a cause; else as it was told when the file was looked at.
function reasonOf({ path, reason, cause, facts }) {
  if (!cause) return reason;
  const told = why({ code: "picture", cause, facts });
  return say("broken_file", { path, reason: told });
}

function drawClasses() {
  const chosen = at("label").value;
  const option = ({ label, pictures }) => make("option", { value: label, textContent: say("count", { label: nameOf(called, label), count: pictures }) });
  at("label").replaceChildren(make("option", { value: "", textContent: say("all") }), ...counts.map(option));
  at("label").value = counts.some(({ label }) => label === chosen) ? chosen : "";
}

async function show() {
  asked += 1;
  last = null;
  drawn.clear();
  at("pictures").replaceChildren();
  hush(at("status"));
  await showMore();
}

// The next page begins behind the last picture as it was listed: what is corrected meanwhile moves no other one.
async function showMore() {
  const query = new URLSearchParams(last ? { after: JSON.stringify(last) } : {});
  if (at("label").value) query.set("label", at("label").value);
  if (at("which").value) query.set(at("which").value, "true");
  const mine = asked;
  const pictures = await get(`/api/pictures?${query}`);
  if (mine !== asked) return;
  at("pictures").append(...pictures.filter(({ id }) => !drawn.has(id)).map(draw));
  at("more").hidden = pictures.length < size;
  if (pictures.length) last = pictures.at(-1).key;
  if (drawn.size === 0) tell(at("status"), "none");
}

function draw(picture) {
  const told = make("p", { className: "weak" });
  const choice = make("select", { disabled: readOnly });
  choice.setAttribute("aria-label", say("class_of", picture));
  // The last one is no class; a class may have any name, so that it is told by its place.
  const options = [...classes, ...(picture.none || classes.includes(picture.label) ? [] : [picture.label])];
  choice.append(...options.map((label) => make("option", { textContent: nameOf(called, label) })), make("option", { textContent: say("none_of_them") }));
  const confirm = make("button", { type: "button", textContent: say("confirm") });
  const undo = make("button", { type: "button", textContent: say("undo") });
  const refresh = (now) => {
    picture = now;
    const { corrected, none, label, answered, path, probability, unsure, unfamiliar, duplicate_of: same } = picture;
    choice.selectedIndex = none ? options.length : options.indexOf(label);
    told.replaceChildren(!corrected ? percent(probability, 0) : say(label === answered ? "confirmed" : "corrected"),
      ...(unsure ? [" ", make("span", { className: "warn", textContent: say(unfamiliar ? "unfamiliar" : "unsure") })] : []),
      ...(same ? [make("br"), say("duplicate", { path: same })] : []));
    confirm.setAttribute("aria-label", say("confirm_of", { label: nameOf(called, label), path }));
    undo.setAttribute("aria-label", say("undo_of", { path }));
    const hadFocus = [confirm, undo].includes(document.activeElement);
    confirm.hidden = corrected || readOnly;
    undo.hidden = !corrected || readOnly;
    if (hadFocus) (corrected ? undo : confirm).focus();
  };
  drawn.set(picture.id, refresh);
  const item = make("li", {}, make("img", { src: `/api/thumbs/${picture.id}`, alt: picture.path, loading: "lazy" }),
    make("div", { textContent: picture.path }), told, choice, confirm, undo);
  refresh(picture);
  choice.addEventListener("change", telling(async () => {
    const place = choice.selectedIndex;
    await correct(picture, place === options.length ? { none: true } : { label: options[place] });
  }));
  confirm.addEventListener("click", telling(() => correct(picture, { label: picture.label })));
  undo.addEventListener("click", telling(() => correct(picture, { label: null })));
  return item;
}

async function correct(picture, correction) {
  const body = JSON.stringify({ sha256: picture.sha256, ...correction });
  let told;
  try {
    const sent = { method: "POST", headers: { "content-type": "application/json" }, body };
    told = await (await request("/api/corrections", sent)).json();
  } catch (error) {
    drawn.get(picture.id)?.(picture);
    tell(at("status"), "failed", { reason: error });
    return;
  }
  for (const row of told) drawn.get(row.id)?.(row);  // its duplicates too
  const now = told.find(({ id }) => id === picture.id) ?? picture;
  const word = now.none ? "kept_none" : now.corrected ? "kept" : "undone";
  tell(at("status"), word, { path: now.path, label: { called, label: now.label } });
  await readCounts();
  drawClasses();
}

at("language").addEventListener("change", telling((event) => speak(event.target.value)));
at("label").addEventListener("change", telling(show));
at("which").addEventListener("change", telling(show));
at("more").addEventListener("click", telling(showMore));
telling(start)();
