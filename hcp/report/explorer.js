// Draws a plan (the JSON in #plan, see explorer.py). Names go into the page as text, never as HTML.
"use strict";
(() => {
const plan = JSON.parse(document.getElementById("plan").textContent);
const { nodes, values, steps, lives, profile } = plan;
const N = nodes.name.length, S = profile.length, L = lives.value.length;
const byId = (id) => document.getElementById(id);

// ---- Words and numbers -------------------------------------------------------------------------------------------

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const SCALES = { ns: [["ns", 1], ["us", 1e3], ["ms", 1e6], ["s", 1e9]],
  flops: [["flop", 1], ["Kflop", 1e3], ["Mflop", 1e6], ["Gflop", 1e9], ["Tflop", 1e12], ["Pflop", 1e15]] };
SCALES.flop = SCALES.flops;

function power(amount) {
  let found = 0;
  while (amount >= 1024 && found < BINARY.length - 1) { amount /= 1024; found += 1; }
  return found;
}
function bytesText(amount) {
  const found = power(amount);
  return found ? `${(amount / 1024 ** found).toFixed(2)} ${BINARY[found]}` : `${amount} B`;
}
function costScale(amount) {
  return (SCALES[plan.unit] || [[plan.unit, 1]]).filter(([, size], i) => !i || amount >= size).pop();
}
function costText(amount) {
  const [name, size] = costScale(amount);
  return size === 1 ? `${amount} ${name}` : `${(amount / size).toFixed(2)} ${name}`;
}
const percent = (part, whole) => (whole ? `${(100 * part / whole).toFixed(3)} %` : "-");
const several = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

function element(tag, content, attributes = {}) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  for (const part of [content].flat()) if (part !== null) made.append(part);
  return made;
}
function link(text, act) {
  const made = element("button", text, { type: "button", class: "link" });
  made.addEventListener("click", act);
  return made;
}
const nodeLink = (node) => link(nodes.name[node], () => showNode(node, true));
const stepLink = (step) => link(`step ${step}`, () => hold(step, true));

// ---- What the plan says ------------------------------------------------------------------------------------------

const COMPUTE = 0, OFFLOAD = 1, FETCH = 2;
const ORIGIN_WORDS = ["stays", "first", "made again", "fetched"];
const ORIGINS = ["inputs and residents", "kept since the first execution", "computed again", "fetched"];
const start = new Float64Array(S + 1), runs = new Int32Array(N), firstStep = new Int32Array(N).fill(-1), rank = new Int32Array(N);
const stepsOf = Array.from({ length: N }, () => []);
const made = Array.from({ length: N }, () => []), livesOf = values.name.map(() => []);
const why = new Map(), bornAt = Array.from({ length: S }, () => []);
let ranks = 0, work = 0, once = 0, extra = 0, executions = 0;
for (let s = 0; s < S; s++) {
  start[s] = work;
  work += steps.cost[s];
  if (steps.kind[s] !== COMPUTE) continue;
  const node = steps.of[s];
  stepsOf[node].push(s);
  runs[node] += 1;
  if (runs[node] === 1) { firstStep[node] = s; rank[node] = ranks++; once += steps.cost[s]; } else { extra += steps.cost[s]; executions += 1; }
}
start[S] = work;
values.maker.forEach((node, value) => { if (node >= 0) made[node].push(value); });
for (let i = 0; i < L; i++) { livesOf[lives.value[i]].push(i); bornAt[lives.first[i]].push(i); }
for (const entry of plan.returns) why.set(entry[0], [...(why.get(entry[0]) || []), entry]);
const madeBytes = nodes.name.map((_, node) => made[node].reduce((sum, value) => sum + values.bytes[value], 0));

// The path of modules: of the layer, up to its first number, and of the kind of module, with numbers left out.
const parts = nodes.path.map((path) => path.split(/[./]/));
function layer(node) {
  if (!nodes.path[node]) return "(no module known)";
  const numbered = parts[node].findIndex((part) => /\d$/.test(part));
  return parts[node].slice(0, numbered < 0 ? 1 : numbered + 1).join(".");
}
const moduleKind = (node) => (nodes.path[node] ? nodes.path[node].replace(/\d+/g, "*") : "(no module known)");
const given = (value, of) => (values.maker[value] < 0 ? "inputs of the graph" : of(values.maker[value]));
const GROUPINGS = {
  origin: { label: "how it came to be there", of: (i) => ORIGINS[lives.origin[i]], most: 9, workspace: () => "workspace" },
  layer: { label: "layer", of: (i) => given(lives.value[i], layer), most: 40, ramp: true, workspace: layer },
  module: { label: "kind of module", of: (i) => given(lives.value[i], moduleKind), most: 12, workspace: moduleKind },
  op: { label: "operation", of: (i) => given(lives.value[i], (n) => nodes.op[n] || "(none)"), most: 12, workspace: (n) => nodes.op[n] || "(none)" },
  kind: { label: "kind of value", of: (i) => values.kind[lives.value[i]], most: 9, workspace: () => "workspace" },
};
if (!nodes.path.some(Boolean)) { delete GROUPINGS.layer; delete GROUPINGS.module; }

// Okabe and Ito's colours, and some of Tol's.
const COLOURS = ["#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#0072B2", "#F0E442", "#882255", "#44AA99", "#999933", "#AA4499", "#117733", "#88CCEE", "#DDCC77"];
const ORIGIN_COLOURS = { [ORIGINS[0]]: "#BFBFBF", [ORIGINS[1]]: "#56B4E9", [ORIGINS[2]]: "#E69F00", [ORIGINS[3]]: "#CC79A7", workspace: "#009E73" };
const REST = "#BFBFBF", VERMILION = "#D55E00", BLUE = "#0072B2", GREEN = "#009E73";

// Bytes of each group during each step.
function grouped(name) {
  const { of, most, ramp, workspace } = GROUPINGS[name];
  const area = new Map();
  const keyOf = new Array(L), keyOfWork = new Map();
  const count = (key, bytes) => area.set(key, (area.get(key) || 0) + bytes);
  for (let i = 0; i < L; i++) {
    keyOf[i] = of(i);
    count(keyOf[i], values.bytes[lives.value[i]] * (lives.last[i] - lives.first[i] + 1));
  }
  for (let s = 0; s < S; s++) {
    if (steps.kind[s] !== COMPUTE || !nodes.workspace[steps.of[s]]) continue;
    const key = workspace(steps.of[s]);
    keyOfWork.set(s, key);
    count(key, nodes.workspace[steps.of[s]]);
  }
  const largest = [...area.keys()].sort((a, b) => area.get(b) - area.get(a));
  const shown = new Set(largest.length > most ? largest.slice(0, most - 1) : largest);
  const rest = `${largest.length - shown.size} others`;
  const keys = [...area.keys()].filter((key) => shown.has(key)).concat(shown.size < largest.length ? [rest] : []);
  const index = new Map(keys.map((key, i) => [key, i]));
  const place = (key) => index.get(shown.has(key) ? key : rest);
  const change = keys.map(() => new Float64Array(S + 1));
  for (let i = 0; i < L; i++) {
    const group = change[place(keyOf[i])], bytes = values.bytes[lives.value[i]];
    group[lives.first[i]] += bytes;
    group[lives.last[i] + 1] -= bytes;
  }
  for (const group of change) for (let s = 0; s < S; s++) group[s + 1] += group[s];
  for (const [s, key] of keyOfWork) change[place(key)][s] += nodes.workspace[steps.of[s]];
  const colour = (key, i) => (key === rest ? REST : name === "origin" ? ORIGIN_COLOURS[key]
    : ramp ? `hsl(${(200 + 300 * i / keys.length) % 360} 60% ${i % 2 ? 55 : 68}%)` : COLOURS[i % COLOURS.length]);
  return { keys, held: change, colours: keys.map(colour), of: (i) => place(keyOf[i]) };
}
function check(groups) {
  for (let s = 0; s < S; s++) {
    const sum = groups.held.reduce((total, held) => total + held[s], 0);
    if (Math.abs(sum - profile[s]) > 1e-9 * profile[s]) throw new Error(`the values of step ${s} add up to ${sum} bytes, and not to the ${profile[s]} of replay`);
  }
}

// ---- The state of the page, which its address keeps --------------------------------------------------------------

// What part of the axis is seen; null for all of it.
let view = null;
const state = { axis: "step", group: "origin", step: null, node: null, search: "", again: false, sort: "step", down: false, shown: 100 };
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (given.get("axis") === "cost") state.axis = "cost";
  if (given.get("group") in GROUPINGS) state.group = given.get("group");
  if (/^\d+$/.test(given.get("step") || "") && Number(given.get("step")) < S) state.step = Number(given.get("step"));
  const [low, high] = (given.get("view") || "").split(",").map(Number);
  if (low < high) view = [low, high];
  if (nodes.name.includes(given.get("node"))) state.node = nodes.name.indexOf(given.get("node"));
  if (given.get("sort") in COLUMNS) state.sort = given.get("sort");
  state.down = given.get("down") === "1";
  state.search = given.get("search") || "";
  state.again = given.get("again") === "1";
}
function writeAddress() {
  const found = new URLSearchParams();
  if (state.axis !== "step") found.set("axis", state.axis);
  found.set("group", state.group);
  if (view) found.set("view", view.map((value) => Math.round(value)).join(","));
  if (state.step !== null) found.set("step", state.step);
  if (state.node !== null) found.set("node", nodes.name[state.node]);
  if (state.sort !== "step") found.set("sort", state.sort);
  if (state.down) found.set("down", "1");
  if (state.search) found.set("search", state.search);
  if (state.again) found.set("again", "1");
  try { history.replaceState(null, "", `#${found}`); } catch { /* Some browsers keep no addresses of local files. */ }
}

// ---- The picture -------------------------------------------------------------------------------------------------

let groups = null, shownColumns = [];
const along = () => (state.axis === "step" ? Float64Array.from({ length: S + 1 }, (_, s) => s) : start);

// At most so many columns as fit; each shows the fullest of its steps.
function columnsOf(x, low, high, most) {
  const found = [];
  const width = (high - low) / most || 1;
  let last = null;
  for (let s = 0; s < S; s++) {
    if (x[s + 1] < low || x[s] > high) continue;
    const bin = Math.floor((x[s] - low) / width);
    if (last !== null && last.bin === bin) {
      last.count += 1;
      if (profile[s] > profile[last.step]) last.step = s;
    } else {
      last = { bin, x: x[s], step: s, count: 1 };
      found.push(last);
    }
    last.end = x[s + 1];
  }
  return found;
}

function draw() {
  const x = along();
  const [low, high] = view || [0, x[S] || 1];
  const wide = byId("plot").clientWidth || 1000;
  shownColumns = columnsOf(x, low, high, Math.max(200, wide));
  const highest = Math.max(plan.peak, plan.keepEverything, Math.min(plan.budget, 2 * plan.keepEverything));
  const unit = power(highest), size = 1024 ** unit;
  const [costName, costSize] = state.axis === "step" ? ["step", 1] : costScale(work);
  const at = (value) => value / costSize;
  const ends = shownColumns.map((column) => at(column.x)).concat(shownColumns.length ? [at(shownColumns[shownColumns.length - 1].end)] : []);
  const heights = (held) => {
    const found = shownColumns.map((column) => held[column.step] / size);
    return found.concat(found.slice(-1));
  };
  const area = (held, i) => ({
    x: ends, y: heights(held), type: "scatter", mode: "lines", stackgroup: "held", fillcolor: groups.colours[i],
    line: { shape: "hv", width: 0, color: groups.colours[i] }, hoverinfo: "skip" });
  const total = { x: ends, y: heights(profile), type: "scatter", mode: "lines", line: { shape: "hv", width: 0.8, color: "#333" }, hoverinfo: "none" };
  const level = (height, dash, text) => ({
    shape: { type: "line", xref: "paper", x0: 0, x1: 1, y0: height / size, y1: height / size, line: { dash, width: 1.2, color: "black" } },
    note: { xref: "paper", x: 1, xanchor: "right", yanchor: "bottom", yshift: 1, y: height / size, text, showarrow: false, font: { size: 11 }, bgcolor: "rgba(255,255,255,0.75)" } });
  const levels = [level(plan.keepEverything, "dot", `keep-everything ${bytesText(plan.keepEverything)}`)];
  if (plan.budget <= 2 * plan.keepEverything) levels.push(level(plan.budget, "dash", `budget ${bytesText(plan.budget)}`));
  lines = levels.map((each) => each.shape);
  const layout = {
    margin: { l: 60, r: 12, t: 34, b: 42 }, showlegend: false, hovermode: "x", dragmode: "zoom",
    font: { family: "system-ui, sans-serif", size: 12 },
    xaxis: { title: { text: state.axis === "step" ? "step" : `accumulated cost [${costName}]` }, range: [at(low), at(high)], anchor: "y2", zeroline: false,
      showspikes: true, spikemode: "across", spikethickness: 1, spikedash: "solid", spikecolor: "#777", minallowed: 0, maxallowed: at(x[S] || 1) },
    yaxis: { title: { text: `held [${BINARY[unit]}]` }, range: [0, 1.09 * highest / size], domain: [0.34, 1], fixedrange: true },
    yaxis2: { title: { text: "node" }, range: [Math.max(1, ranks) - 0.5 + 0.03 * ranks, -0.5 - 0.03 * ranks], domain: [0, 0.29], fixedrange: true, zeroline: false },
    shapes: shapes(), annotations: levels.map((each) => each.note),
  };
  const traces = [...groups.held.map(area), total, ...dots(x, low, high, wide, at)];
  return Plotly.react("plot", traces, layout, { responsive: true, displaylogo: false, doubleClick: "autosize",
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "autoScale2d"]] })
    .then(() => tellResolution());
}

// The lines of budget and keep-everything, and the step that is held.
let lines = [];
function shapes() {
  if (state.step === null) return lines;
  const x = along()[state.step] / (state.axis === "step" ? 1 : costScale(work)[1]);
  return [...lines, { type: "line", yref: "paper", y0: 0, y1: 1, x0: x, x1: x, line: { width: 1.5, color: VERMILION } }];
}

// Which node runs when: those that run again, and transfers, apart.
function dots(x, low, high, wide, at) {
  const kinds = [["first run", BLUE, 3], ["runs again", VERMILION, 5], ["offload", GREEN, 4], ["fetch", "#CC79A7", 4]];
  const found = kinds.map(([text, color, size]) => ({
    x: [], y: [], customdata: [], name: text, type: "scatter", mode: "markers", yaxis: "y2", marker: { color, size, symbol: "square" }, hoverinfo: "none" }));
  const taken = new Set();
  for (let s = 0; s < S; s++) {
    if (x[s] < low || x[s] > high) continue;
    const node = steps.kind[s] === COMPUTE ? steps.of[s] : values.maker[steps.of[s]];
    const kind = steps.kind[s] !== COMPUTE ? 1 + steps.kind[s] : steps.run[s] > 1 ? 1 : 0;
    // Dots that cover each other are one.
    const spot = kind + 4 * (Math.floor(wide * (x[s] - low) / (high - low)) * 400 + Math.floor(400 * rank[node] / ranks));
    if (taken.has(spot)) continue;
    taken.add(spot);
    found[kind].x.push(at(x[s]));
    found[kind].y.push(rank[node]);
    found[kind].customdata.push(s);
  }
  return found;
}

function tellResolution() {
  const most = Math.max(1, ...shownColumns.map((column) => column.count));
  const merged = shownColumns.filter((column) => column.count > 1).length;
  byId("resolution").textContent = merged
    ? `Of ${several(S, "step")}, up to ${most} share a column here, which shows the fullest of them; zoom in for each.`
    : `${several(shownColumns.length, "step")}, each drawn.`;
}

function drawLegend() {
  const chip = (colour, text) => element("li", [element("span", "", { class: "swatch", style: `background:${colour}` }), text]);
  const shown = groups.keys.map((key, i) => chip(groups.colours[i], key));
  const below = [[BLUE, "below: first execution"], [VERMILION, "runs again"]];
  if (steps.kind.some((kind) => kind !== COMPUTE)) below.push([GREEN, "offload"], ["#CC79A7", "fetch"]);
  byId("legend").replaceChildren(...shown, ...below.map(([colour, text]) => chip(colour, text)));
}

// ---- One step ----------------------------------------------------------------------------------------------------

const LISTED = 25;
function stepTitle(s) {
  if (steps.kind[s] !== COMPUTE) return [`${steps.kind[s] === OFFLOAD ? "offload of" : "fetch of"} ${values.name[steps.of[s]]}`];
  return [nodeLink(steps.of[s]), steps.run[s] > 1 ? `, run ${steps.run[s]} of ${runs[steps.of[s]]}` : ""];
}
function showStep(s) {
  const live = [];
  for (let i = 0; i < L; i++) if (lives.first[i] <= s && s <= lives.last[i]) live.push(i);
  live.sort((a, b) => values.bytes[lives.value[b]] - values.bytes[lives.value[a]]);
  const workspace = steps.kind[s] === COMPUTE ? nodes.workspace[steps.of[s]] : 0;
  const row = (i) => element("tr", [
    element("td", element("span", "", { class: "swatch", style: `background:${groups.colours[groups.of(i)]}`, title: groups.keys[groups.of(i)] })),
    element("td", values.name[lives.value[i]], { class: "name" }),
    element("td", bytesText(values.bytes[lives.value[i]]), { class: "number" }),
    element("td", lives.first[i] === s ? "made now" : `since ${lives.first[i]}`, { class: "number" }),
  ]);
  const left = live.slice(LISTED), more = left.reduce((sum, i) => sum + values.bytes[lives.value[i]], 0);
  const content = [
    element("h2", [`Step ${s}: `, ...stepTitle(s)]),
    element("p", [`${bytesText(profile[s])} held (${profile[s]} bytes)`, profile[s] === plan.peak ? ", the peak" : "",
      workspace ? `, ${bytesText(workspace)} of it workspace` : "", `; costs ${costText(steps.cost[s])}`]),
    ...(steps.run[s] > 1 || steps.kind[s] === FETCH ? [element("h3", "Why"), reasons(s)] : []),
    element("h3", `${several(live.length, "live value")}, largest first`),
    element("table", live.slice(0, LISTED).map(row), { class: "values" }),
    left.length ? element("p", `and ${left.length} more with ${bytesText(more)}`) : null,
    state.step === s ? link("let go", () => hold(null)) : null,
  ];
  byId("step").replaceChildren(...content.filter((part) => part !== null));
}
function reasons(s) {
  const found = (why.get(s) || []).map(([, value, dropped, needed, held]) => {
    const who = steps.kind[needed] === COMPUTE ? [nodeLink(steps.of[needed])] : ["an offload"];
    const was = dropped === null ? [" was still live; "] : [" was freed after ", stepLink(dropped), "; "];
    const over = held === null ? [] : [`. Had it stayed, up to ${bytesText(held)} would have been held in between`, held > plan.budget ? ", over the budget" : ", all else being the same"];
    return element("li", [values.name[value], ...was, stepLink(needed), " (", ...who, ") reads it", ...over, "."]);
  });
  return element("ul", found.length ? found : [element("li", "Nothing reads what this run makes.")]);
}
let held = null;
function hold(s, reveal) {
  state.step = s;
  held = s;
  showStep(s === null ? plan.peakStep : s);
  const outside = reveal && view && s !== null && (along()[s] < view[0] || along()[s] > view[1]);
  if (outside) view = null;
  writeAddress();
  return outside ? draw() : Plotly.relayout("plot", { shapes: shapes() });
}

// ---- Nodes -------------------------------------------------------------------------------------------------------

function showNode(node, reveal) {
  state.node = node;
  writeAddress();
  const box = byId("details");
  const periods = (value) => livesOf[value].map((i) => `${lives.first[i]} to ${lives.last[i]} (${ORIGIN_WORDS[lives.origin[i]]})`).join(", ");
  const facts = [["operation", nodes.op[node]], ["module", nodes.path[node]], ["code", nodes.place[node]],
    ["cost of a run", costText(steps.cost[firstStep[node]])], ["workspace", bytesText(nodes.workspace[node])]];
  const shownFacts = facts.filter(([, text]) => text).map(([name, text]) => element("tr", [element("th", name), element("td", text)]));
  const makes = made[node].map((value) => element("li", `${values.name[value]}, ${bytesText(values.bytes[value])}: takes memory during steps ${periods(value)}`));
  const again = stepsOf[node].map((s, i) => element("li", [stepLink(s), i ? ": again" : ": first", i ? reasons(s) : ""]));
  box.replaceChildren(
    element("h2", nodes.name[node]), element("table", shownFacts),
    element("h3", "Makes"), element("ul", makes.length ? makes : [element("li", "nothing that takes memory")]),
    element("h3", `Runs ${runs[node] === 1 ? "once" : `${runs[node]} times`}`), element("ul", again),
    link("close", () => { box.hidden = true; state.node = null; writeAddress(); fillTable(); }),
  );
  box.hidden = false;
  fillTable();
  if (reveal) box.scrollIntoView({ block: "nearest" });
}

const byNumber = (of) => (a, b) => of(a) - of(b);
const byText = (of) => (a, b) => of(a).localeCompare(of(b), undefined, { numeric: true });
const extraCost = (n) => stepsOf[n].slice(1).reduce((sum, s) => sum + steps.cost[s], 0);
const COLUMNS = {
  name: { label: "node", cell: (n) => nodes.name[n], order: byText((n) => nodes.name[n]) },
  op: { label: "operation", cell: (n) => nodes.op[n], order: byText((n) => nodes.op[n]) },
  path: { label: "module", cell: (n) => nodes.path[n], order: byText((n) => nodes.path[n]) },
  place: { label: "code", cell: (n) => nodes.place[n], order: byText((n) => nodes.place[n]) },
  step: { label: "first step", number: true, cell: (n) => firstStep[n], order: byNumber((n) => firstStep[n]) },
  cost: { label: "cost of a run", number: true, cell: (n) => costText(nodes.cost[n]), order: byNumber((n) => nodes.cost[n]) },
  bytes: { label: "makes", number: true, cell: (n) => bytesText(madeBytes[n]), order: byNumber((n) => madeBytes[n]) },
  runs: { label: "runs", number: true, cell: (n) => runs[n], order: byNumber((n) => runs[n]) },
  extra: { label: "extra cost", number: true, cell: (n) => (runs[n] > 1 ? costText(extraCost(n)) : ""), order: byNumber(extraCost) },
  when: { label: "again at steps", cell: (n) => whenAgain(n), order: byNumber((n) => (runs[n] > 1 ? stepsOf[n][1] : -1)) },
};
for (const name of ["path", "place"]) if (!nodes[name].some(Boolean)) delete COLUMNS[name];
function whenAgain(n) {
  const again = stepsOf[n].slice(1);
  return again.slice(0, 6).join(", ") + (again.length > 6 ? ` and ${again.length - 6} more` : "");
}
const searched = nodes.name.map((name, n) => [name, nodes.op[n], nodes.path[n], nodes.place[n]].join("\n").toLowerCase());

function fillTable() {
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (let n = 0; n < N; n++) if ((!state.again || runs[n] > 1) && words.every((word) => searched[n].includes(word))) found.push(n);
  found.sort(COLUMNS[state.sort].order);
  if (state.down) found.reverse();
  const row = (n) => {
    const cells = Object.values(COLUMNS).map((column) => element("td", String(column.cell(n)), column.number ? { class: "number" } : {}));
    const made = element("tr", cells, { class: [runs[n] > 1 ? "again" : "", n === state.node ? "chosen" : ""].join(" "), "data-node": n, tabindex: 0 });
    return made;
  };
  byId("nodes").tBodies[0].replaceChildren(...found.slice(0, state.shown).map(row));
  byId("count").textContent = `${found.length} of ${several(N, "node")}` + (found.length > state.shown ? `; the first ${state.shown} are listed` : "");
  byId("more").hidden = found.length <= state.shown;
  for (const head of byId("nodes").tHead.rows[0].cells) {
    head.setAttribute("aria-sort", head.dataset.column !== state.sort ? "none" : state.down ? "descending" : "ascending");
    head.querySelector("span").textContent = head.dataset.column !== state.sort ? "" : state.down ? " \u25bc" : " \u25b2";
  }
}
function tableHead() {
  for (const [name, column] of Object.entries(COLUMNS)) {
    const button = element("button", [column.label, element("span", "")], { type: "button" });
    button.addEventListener("click", () => {
      state.down = state.sort === name ? !state.down : Boolean(column.number && name !== "step");
      state.sort = name;
      writeAddress();
      fillTable();
    });
    byId("nodes").tHead.rows[0].append(element("th", button, { "data-column": name, ...(column.number ? { class: "number" } : {}) }));
  }
}

// ---- Listening ---------------------------------------------------------------------------------------------------

function listen() {
  byId("axis").addEventListener("change", (event) => { state.axis = event.target.value; view = null; writeAddress(); draw(); });
  byId("group").addEventListener("change", (event) => { state.group = event.target.value; regroup(); writeAddress(); draw(); });
  byId("search").addEventListener("input", (event) => { state.search = event.target.value; state.shown = 100; writeAddress(); fillTable(); });
  byId("again").addEventListener("change", (event) => { state.again = event.target.checked; state.shown = 100; writeAddress(); fillTable(); });
  byId("more").addEventListener("click", () => { state.shown *= 4; fillTable(); });
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  const choose = (event) => { const row = event.target.closest("tr[data-node]"); if (row) showNode(Number(row.dataset.node), true); };
  byId("nodes").tBodies[0].addEventListener("click", choose);
  byId("nodes").tBodies[0].addEventListener("keydown", (event) => { if (event.key === "Enter") choose(event); });
  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined || ["INPUT", "SELECT"].includes(event.target.tagName)) return;
    hold(Math.min(S - 1, Math.max(0, (state.step === null ? plan.peakStep : state.step) + by)), true);
    event.preventDefault();
  });
  const plot = byId("plot");
  const stepAt = ({ points }) => {
    const [dot] = points.filter((point) => point.customdata !== undefined);
    if (dot) return dot.customdata;
    const column = points.length && shownColumns[Math.min(points[0].pointNumber, shownColumns.length - 1)];
    return column ? column.step : null;
  };
  plot.on("plotly_hover", (event) => { const s = stepAt(event); if (held === null && s !== null) showStep(s); });
  plot.on("plotly_click", (event) => { const s = stepAt(event); if (s !== null) hold(s === state.step ? null : s); });
  plot.on("plotly_relayout", (change) => {
    const size = state.axis === "step" ? 1 : costScale(work)[1];
    if (change["xaxis.autorange"]) view = null;
    else if ("xaxis.range[0]" in change) view = [change["xaxis.range[0]"] * size, change["xaxis.range[1]"] * size];
    else if ("xaxis.range" in change) view = change["xaxis.range"].map((value) => value * size);
    else return;
    writeAddress();
    draw();
  });
}
function regroup() {
  groups = grouped(state.group);
  check(groups);
  drawLegend();
  showStep(state.step === null ? plan.peakStep : state.step);
}

// ---- Beginning ---------------------------------------------------------------------------------------------------

function begin() {
  readAddress();
  const again = runs.filter((count) => count > 1).length;
  byId("summary").textContent = `${several(N, "node")} in ${several(S, "step")}; the peak is ${bytesText(plan.peak)} at step ${plan.peakStep}, `
    + `within a budget of ${bytesText(plan.budget)}. ` + (again
      ? `${several(again, "node")} run${again === 1 ? "s" : ""} again, ${several(executions, "execution")} in all, which cost ${costText(extra)}: ${percent(extra, once)} on top of running every node once.`
      : "Every node runs once.") + transfersText();
  byId("facts").querySelector("table").append(...plan.facts.map(([name, text]) => element("tr", [element("th", name), element("td", text)])));
  byId("group").append(...Object.entries(GROUPINGS).map(([name, { label }]) => element("option", label, { value: name })));
  byId("group").value = state.group;
  byId("axis").value = state.axis;
  byId("search").value = state.search;
  byId("again").checked = state.again;
  held = state.step;
  tableHead();
  regroup();
  fillTable();
  if (state.node !== null) showNode(state.node, false);
  return draw().then(() => { listen(); document.body.dataset.drawn = "all"; });
}
function transfersText() {
  const moves = [];
  let bytes = 0;
  for (const [kind, word] of [[OFFLOAD, "offload"], [FETCH, "fetch"]]) {
    const found = steps.of.filter((_, s) => steps.kind[s] === kind);
    bytes += found.reduce((sum, value) => sum + values.bytes[value], 0);
    moves.push(`${found.length} ${word}${found.length === 1 ? "" : kind === FETCH ? "es" : "s"}`);
  }
  return bytes ? ` ${moves.join(" and ")} move ${bytesText(bytes)}.` : "";
}
function problem(error) {
  byId("problem").textContent = `This page cannot show the plan: ${error.message}`;
  byId("problem").hidden = false;
}
try { begin().catch(problem); } catch (error) { problem(error); }
})();
