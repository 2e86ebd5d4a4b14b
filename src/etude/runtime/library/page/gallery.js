// A library by class, and the corrections of the person who knows better.
let classes = [], counts = [], broken = [], size = 60, offset = 0;
const get = async (path) => (await fetch(path)).json();

async function start() {
  const preferred = await readWords();
  await readCounts();
  await speak(preferred);
}

async function readCounts() {
  ({ classes, counts, broken, page: size } = await get("/api/classes"));
}

async function speak(chosen) {
  labelPage(chosen);
  drawClasses();
  at("broken").hidden = broken.length === 0;
  at("broken").querySelector("summary").textContent = say("broken", { count: broken.length });
  at("broken").querySelector("ul").replaceChildren(...broken.map(({ reason }) => make("li", { textContent: reason })));
  await show();
}

function drawClasses() {
  const chosen = at("label").value;
  const option = ({ label, pictures }) => make("option", { value: label, textContent: say("count", { label, count: pictures }) });
  at("label").replaceChildren(make("option", { value: "", textContent: say("all") }), ...counts.map(option));
  at("label").value = counts.some(({ label }) => label === chosen) ? chosen : "";
}

async function show() {
  offset = 0;
  at("pictures").replaceChildren();
  at("status").textContent = "";
  await showMore();
}

async function showMore() {
  const query = new URLSearchParams({ offset });
  if (at("label").value) query.set("label", at("label").value);
  if (at("which").value) query.set(at("which").value, "true");
  const pictures = await get(`/api/pictures?${query}`);
  at("pictures").append(...pictures.map(draw));
  offset += pictures.length;
  at("more").hidden = pictures.length < size;
  if (offset === 0) at("status").textContent = say("none");
}

function draw(picture) {
  const choice = make("select");
  choice.setAttribute("aria-label", say("class_of", picture));
  choice.append(...classes.map((label) => make("option", { value: label, textContent: label, selected: label === picture.label })));
  const told = make("p", { className: "weak" });
  const item = make("li", {}, make("img", { src: `/api/thumbs/${picture.id}`, alt: picture.path, loading: "lazy" }),
    make("div", { textContent: picture.path }), told, choice);
  const describe = () => told.replaceChildren(
    picture.corrected ? say("corrected") : percent(picture.probability, 0),
    ...(picture.unsure && !picture.corrected ? [" ", make("span", { className: "warn", textContent: say(picture.unfamiliar ? "unfamiliar" : "unsure") })] : []),
    ...(picture.duplicate_of ? [make("br"), say("duplicate", { path: picture.duplicate_of })] : []));
  describe();
  choice.addEventListener("change", async () => {
    const response = await fetch("/api/corrections", {
      method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ sha256: picture.sha256, label: choice.value }),
    });
    if (!response.ok) { at("status").textContent = say("failed", { reason: (await response.json()).error.message }); return; }
    Object.assign(picture, { label: choice.value, corrected: true });
    describe();
    at("status").textContent = say("kept", picture);
    await readCounts();
    drawClasses();
  });
  return item;
}

at("language").addEventListener("change", (event) => speak(event.target.value));
at("label").addEventListener("change", show);
at("which").addEventListener("change", show);
at("more").addEventListener("click", showMore);
start();
