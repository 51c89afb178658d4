// A small page to try the API from. No library and no other origin: what it sends is what a program would send.
"use strict";

const ANSWERS_SHOWN = 200;
const byId = (id) => document.getElementById(id);
const answer = byId("answer");
let socket = null;

const show = (text) => { answer.textContent = text; };
const say = (text) => { byId("state").textContent = text; };
const pretty = (value) => JSON.stringify(value, null, 2);

function choose(example) {
  byId("document").value = example.document;
  byId("variables").value = example.variables.replaceAll("$uuid", () => newId());
}

// crypto.randomUUID is missing where the page is not served from this machine or by HTTPS.
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

async function ask(payload) {
  say("waiting");
  const started = performance.now();
  try {
    const response = await fetch("/graphql", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(payload),
    });
    const text = await response.text();
    say(`${response.status} after ${Math.round(performance.now() - started)} ms`);
    try { show(pretty(JSON.parse(text))); } catch { show(text); }
  } catch (error) {
    say("no answer");
    show(String(error));
  }
}

function follow(payload) {
  const lines = [];
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const mine = new WebSocket(`${scheme}//${location.host}/graphql-ws`, "graphql-transport-ws");
  socket = mine;
  byId("stop").disabled = false;
  show("");
  say("connecting");
  mine.onopen = () => mine.send(JSON.stringify({ type: "connection_init" }));
  mine.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === "connection_ack") {
      say("following");
      mine.send(JSON.stringify({ type: "subscribe", id: "1", payload }));
    } else if (message.type === "ping") {
      mine.send(JSON.stringify({ type: "pong" }));
    } else if (message.type === "next" || message.type === "error") {
      lines.unshift(pretty(message.payload));
      lines.length = Math.min(lines.length, ANSWERS_SHOWN);
      show(lines.join("\n"));
    } else if (message.type === "complete") {
      mine.close();
    }
  };
  mine.onclose = (event) => {
    if (socket === mine) {
      socket = null;
      byId("stop").disabled = true;
      say(`ended with ${event.code} ${event.reason}`);
    }
  };
}

function run() {
  if (socket) socket.close();
  let variables = {};
  const text = byId("variables").value.trim();
  try {
    if (text) variables = JSON.parse(text);
  } catch (error) {
    say("the variables are no JSON");
    show(String(error));
    return;
  }
  const query = byId("document").value;
  const isSubscription = /^\s*(#.*\s*)*subscription\b/.test(query);
  if (isSubscription) follow({ query, variables });
  else ask({ query, variables });
}

async function start() {
  const examples = await (await fetch("/graphiql/examples.json")).json();
  const select = byId("example");
  for (const example of examples) select.add(new Option(example.title));
  select.onchange = () => choose(examples[select.selectedIndex]);
  choose(examples[0]);
  byId("run").onclick = run;
  byId("stop").onclick = () => socket && socket.close();
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.ctrlKey) run();
  });
}

start();
