// Pictures in, answers out. Nothing is kept but the key, for this tab.
let models = [], locked = false;

function speak(chosen) {
  labelPage(chosen);
  for (const element of document.querySelectorAll("[data-share]")) element.textContent = percent(Number(element.dataset.share));
}

async function ask(path, options = {}) {
  const key = sessionStorage.getItem("key");
  const headers = { ...(options.headers ?? {}), ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  for (let attempt = 0; ; attempt += 1) {
    try { return await request(path, { ...options, headers }); }
    catch (error) {
      if (error.status === 401) askForKey();
      // A picture that memory is short for is not sent again at once: it would take the memory that others need.
      const mayPass = (error.status === 429 || error.status === 503) && error.cause !== "memory";
      if (!mayPass || attempt === 5) throw error;
      tell(at("status"), "busy");
      await new Promise((go) => setTimeout(go, 1000 * Math.min(10, error.retryS)));
    }
  }
}

// At the start where the server asks for a key, and later where it knows the one that was given no more.
function askForKey() {
  locked = true;
  if (sessionStorage.getItem("key")) tell(at("keywrong"), "key_wrong");
  else hush(at("keywrong"));
  at("keybox").hidden = false;
  at("key").focus();
}

async function start() {
  speak(await readWords());
  at("camera").hidden = !navigator.mediaDevices;  // browsers have it over https and on this machine only
  at("nocamera").hidden = Boolean(navigator.mediaDevices);
  await meet();
}

// Learn which models there are; `ask` asks for the key where the server does.
async function meet() {
  try { models = (await (await ask("/v1/model")).json()).models; }
  catch (error) {
    if (error.status !== 401) tell(at("status"), "reason", { reason: error });
    return;
  }
  hush(at("status"));
  at("keybox").hidden = true;
  at("ask").hidden = false;
  const before = at("model").value;
  at("model").replaceChildren(...models.map((model) => make("option", { value: model.name, textContent: model.name })));
  if (models.some((model) => model.name === before)) at("model").value = before;
  showModel();
}

const chosen = () => models.find((model) => model.name === at("model").value);
const makesPictures = () => chosen()?.task === "generation";

// Offer what the chosen model does: to answer about pictures, or to make some.
function showModel() {
  const model = chosen();
  if (!at("viewfinder").hidden) closeCamera();
  at("drop").hidden = makesPictures();
  at("make").hidden = !makesPictures();
  const [title, lead] = makesPictures() ? ["title_generate", "lead_generate"] : ["title", "lead"];
  document.querySelector("h1").dataset.word = title;
  at("lead").dataset.word = lead;
  labelPage(language);
  at("kind").hidden = !model.conditional;
  const inTurn = tell(make("option", { value: "" }), "in_turn");
  at("class").replaceChildren(inTurn, ...model.classes.map((label) => showClass(make("option", { value: label }), model.called, label)));
  at("about").hidden = false;
  at("card").textContent = model.card;
}

async function take(files) {
  if (makesPictures()) return;
  for (const file of files) await answer(file);
}

async function answer(file) {
  const name = file.name || "camera";
  const item = make("li");
  const remove = tell(make("button", { type: "button" }, "×"), "remove", { name }, "aria-label");
  remove.textContent = "×";
  const image = make("img", { src: URL.createObjectURL(file) });
  remove.addEventListener("click", () => { item.remove(); URL.revokeObjectURL(image.src); at("files").focus(); });
  tell(image, "picture_of", { name }, "alt");
  const frame = make("div", { className: "frame" }, image);
  item.append(make("h2", {}, make("span", { textContent: name }), remove), frame);
  at("answers").prepend(item);
  tell(at("status"), "working", { name });
  const model = chosen();
  try {
    const told = model.task === "classification" ? await classify(model, file, item) : await segment(model, file, name, item, frame);
    tell(at("status"), "done", { name, answer: told });
  } catch (error) {
    item.append(tell(make("p", { className: "error" }), "reason", { reason: error }));
    tell(at("status"), "failed", { name, reason: error });
  }
}

// One item a seed: the file that the server made, which says in itself that it is generated.
async function generate() {
  const model = chosen();
  const seed = at("seed").value;
  const label = model.conditional ? at("class").value : "";
  const count = at("count").value;
  const query = new URLSearchParams({ model: model.name, seed, count, ...(label ? { class: label } : {}) });
  const named = label ? ["made_of", { seed, count, label: { called: model.called, label } }] : ["made", { seed, count }];
  const item = make("li");
  const title = tell(make("span"), ...named);
  const remove = tell(make("button", { type: "button" }, "×"), "remove", { name: seed }, "aria-label");
  remove.textContent = "×";
  const image = make("img");
  remove.addEventListener("click", () => { item.remove(); URL.revokeObjectURL(image.src); at("seed").focus(); });
  item.append(make("h2", {}, title, remove));
  at("answers").prepend(item);
  tell(at("status"), "working", { name: title.textContent });
  try {
    const file = await (await ask(`/v1/generate?${query}`, { method: "POST" })).blob();
    if (!item.isConnected) return;  // taken away meanwhile
    image.src = URL.createObjectURL(file);
    tell(image, "made_alt", { seed }, "alt");
    const kept = ["generated", seed, ...(label ? [label.replace(/[^\p{L}\p{N}_-]+/gu, "_")] : []), count].join("-");
    const save = tell(make("a", { className: "button", href: image.src, download: `${kept}.png` }), "save");
    item.append(make("div", { className: "frame" }, image), make("p", {}, save), tell(make("p"), "no_photograph"));
    tell(at("status"), "drawn", { count });
  } catch (error) {
    item.append(tell(make("p", { className: "error" }), "reason", { reason: error }));
    tell(at("status"), "failed", { name: title.textContent, reason: error });
  }
}

async function classify(model, file, item) {
  const path = `/v1/predict?model=${encodeURIComponent(model.name)}&top=5`;
  const response = await ask(path, { method: "POST", body: file, headers: { "content-type": "application/octet-stream" } });
  const found = (await response.json()).predictions[0];
  const told = make("p", { className: "answer" }, showClass(make("span"), model.called, found.label), " ");
  if ("positive" in found) told.append("(", tell(make("span"), found.positive ? "yes" : "no"), ") ");
  if (found.unsure) told.append(tell(make("span", { className: "unsure" }), found.unfamiliar ? "unfamiliar" : "unsure"));
  const bars = make("ul", { className: "bars" });
  for (const { label, probability } of found.top) {
    const bar = make("div", { className: "bar" });
    bar.style.width = `${100 * probability}%`;
    const share = make("span", { textContent: percent(probability) });
    share.dataset.share = probability;
    bars.append(make("li", {}, bar, showClass(make("span"), model.called, label), share));
  }
  item.append(told, bars);
  return `${nameOf(model.called, found.label)} ${percent(found.probability)}`;
}

async function segment(model, file, name, item, frame) {
  const path = `/v1/segment?as=grey&model=${encodeURIComponent(model.name)}`;
  const response = await ask(path, { method: "POST", body: file, headers: { "content-type": "application/octet-stream" } });
  const bitmap = await createImageBitmap(await response.blob(), { colorSpaceConversion: "none" });
  const canvas = make("canvas", { width: bitmap.width, height: bitmap.height });
  canvas.setAttribute("role", "img");
  tell(canvas, "mask_of", { name }, "aria-label");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0);
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height);
  const { ids, counts } = readIds(pixels.data, model.classes.length);
  const hidden = new Set();
  for (let place = 0; place < ids.length; place += 1) {
    const [red, green, blue] = model.palette[ids[place]] ?? [0, 0, 0];
    pixels.data[4 * place] = red;
    pixels.data[4 * place + 1] = green;
    pixels.data[4 * place + 2] = blue;
  }
  const redraw = () => {
    const alpha = new Uint8Array(256).map((_, id) => (id < model.classes.length && !hidden.has(id) ? 255 : 0));
    for (let place = 0; place < ids.length; place += 1) pixels.data[4 * place + 3] = alpha[ids[place]];
    pen.putImageData(pixels, 0, 0);
  };
  redraw();
  frame.append(canvas);
  // What the browser cannot draw, a TIFF say, has no size for the mask to lie over: it then stands by itself.
  frame.querySelector("img").decode().catch(() => frame.classList.add("unseen"));
  item.append(slider(canvas), legend(model, counts, ids.length, hidden, redraw));
  const largest = counts.indexOf(Math.max(...counts));
  return `${nameOf(model.called, model.classes[largest])} ${percent(counts[largest] / ids.length)}`;
}

// The mask comes as a PNG whose grey levels are the ids; what the model did not look at is no class.
function readIds(levels, count) {
  const ids = new Uint8Array(levels.length / 4);
  const counts = new Array(count).fill(0);
  for (let place = 0; place < ids.length; place += 1) {
    ids[place] = levels[4 * place];
    if (ids[place] < count) counts[ids[place]] += 1;
  }
  return { ids, counts };
}

function slider(canvas) {
  const range = make("input", { type: "range", min: 0, max: 100, value: 55 });
  const apply = () => { canvas.style.opacity = range.value / 100; };
  range.addEventListener("input", apply);
  apply();
  return make("label", {}, tell(make("span"), "opacity"), range);
}

function legend(model, counts, total, hidden, redraw) {
  const list = make("ul", { className: "legend" });
  tell(list, "legend", {}, "aria-label");
  model.classes.forEach((label, id) => {
    if (!counts[id]) return;
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = `rgb(${model.palette[id].join(",")})`;
    const share = make("span", { textContent: percent(counts[id] / total) });
    share.dataset.share = counts[id] / total;
    const button = make("button", { type: "button" }, swatch, showClass(make("span"), model.called, label), share);
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      if (!hidden.delete(id)) hidden.add(id);
      button.setAttribute("aria-pressed", String(!hidden.has(id)));
      redraw();
    });
    list.append(make("li", {}, button));
  });
  return list;
}

async function openCamera() {
  try {
    at("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    at("viewfinder").hidden = false;
    at("take").focus();
  } catch (error) { tell(at("status"), "no_camera", { reason: error.message }); }
}

// A link cannot carry the key: where the server asks for one, the description is fetched with it and shown here.
async function showApi(event) {
  if (!locked && !sessionStorage.getItem("key")) return;
  event.preventDefault();
  try {
    const told = new DOMParser().parseFromString(await (await ask("/docs")).text(), "text/html");
    at("docs").replaceChildren(...told.querySelector("main").childNodes);
  } catch (error) { tell(at("status"), "reason", { reason: error }); return; }
  at("docs").querySelector('a[href="/openapi.json"]').addEventListener("click", saveOpenApi);
  at("docs").hidden = false;
  at("docs").focus();
}

async function saveOpenApi(event) {
  event.preventDefault();
  let file;
  try { file = await (await ask("/openapi.json")).blob(); }
  catch (error) { tell(at("status"), "reason", { reason: error }); return; }
  const link = make("a", { href: URL.createObjectURL(file), download: "openapi.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);  // the download begins after this
}

function closeCamera() {
  for (const track of at("video").srcObject?.getTracks() ?? []) track.stop();
  at("video").srcObject = null;
  at("viewfinder").hidden = true;
  at("camera").focus();
}

function takePicture() {
  const video = at("video");
  const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => take([new File([blob], "camera.jpg", { type: "image/jpeg" })]), "image/jpeg", 0.92);
}

at("language").addEventListener("change", (event) => speak(event.target.value));
at("model").addEventListener("change", showModel);
at("make").addEventListener("submit", (event) => { event.preventDefault(); generate(); });
at("another").addEventListener("click", () => { at("seed").value = crypto.getRandomValues(new Uint32Array(1))[0]; });
at("files").addEventListener("change", (event) => { const files = [...event.target.files]; event.target.value = ""; take(files); });
at("api").addEventListener("click", showApi);
at("camera").addEventListener("click", openCamera);
at("close").addEventListener("click", closeCamera);
at("take").addEventListener("click", takePicture);
at("keybox").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = at("key").value.trim();
  at("key").value = "";
  // What no header can carry, such as a zero-width space from a chat, would be kept and fail for ever.
  if (!/^[\x21-\x7e]+$/.test(given)) { tell(at("keywrong"), "key_wrong"); return; }
  sessionStorage.setItem("key", given);
  meet();
});
for (const kind of ["dragenter", "dragover"]) document.addEventListener(kind, (event) => { event.preventDefault(); at("drop").classList.add("over"); });
for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, (event) => { event.preventDefault(); at("drop").classList.remove("over"); });
document.addEventListener("drop", (event) => { if (!at("ask").hidden) take([...event.dataTransfer.files]); });
document.addEventListener("paste", (event) => { if (!at("ask").hidden) take([...event.clipboardData.files]); });
start();
