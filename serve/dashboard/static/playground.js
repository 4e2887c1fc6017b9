// Streams the playground's answers. Without it the form is sent, and the page comes back with the answers.
"use strict";

const form = document.getElementById("play");
const decision = document.getElementById("decision");
const answers = document.getElementById("answers");
const template = document.getElementById("answer-template");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button.primary");
  button.disabled = true;
  answers.replaceChildren();
  try {
    await showDecision();
    const beside = form.elements.beside.value;
    const wanted = [["Routed", "smart-route"], ...(beside ? [["Pinned", beside]] : [])];
    await Promise.all(wanted.map(([title, model]) => showAnswer(title, model)));
  } finally {
    button.disabled = false;
  }
});

function fields(more) {
  return new URLSearchParams([...new FormData(form), ...Object.entries(more)]);
}

async function showDecision() {
  const response = await fetch("/playground/decision", { method: "POST", body: fields({}) });
  const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
  decision.replaceChildren(...(parsed.querySelector("main") ?? parsed.body).childNodes);
}

async function showAnswer(title, model) {
  const card = template.content.cloneNode(true).firstElementChild;
  const part = (name) => card.querySelector(`[data-part="${name}"]`);
  part("title").textContent = title;
  part("lane").textContent = model;
  part("note").textContent = "Waiting…";
  answers.append(card);
  try {
    const response = await fetch("/playground/answer", { method: "POST", body: fields({ model }) });
    if (!response.ok) {
      throw new Error(await problemOf(response));
    }
    part("lane").textContent = response.headers.get("x-llmdeal-lane");
    const usage = await readStream(response, (text) => { part("text").append(text); });
    showNote(part("note"), response, usage);
  } catch (problem) {
    part("note").textContent = problem.message;
    part("note").className = "notice bad";
  }
}

async function problemOf(response) {
  const isJson = response.headers.get("content-type")?.includes("json");
  if (isJson) {
    return (await response.json()).error?.message ?? `The gateway answered ${response.status}.`;
  }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return page.querySelector("main")?.textContent.trim() || `The gateway answered ${response.status}.`;
}

async function readStream(response, onText) {
  let rest = "";
  let usage = {};
  for await (const text of chunksOf(response.body.pipeThrough(new TextDecoderStream()))) {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines.filter((each) => each.startsWith("data: ") && each !== "data: [DONE]")) {
      const event = JSON.parse(line.slice(6));
      if (event.error) {
        throw new Error(event.error.message);
      }
      usage = event.usage ?? usage;
      onText(event.choices?.[0]?.delta?.content ?? "");
    }
  }
  return usage;
}

async function* chunksOf(stream) {
  const reader = stream.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    yield next.value;
  }
}

function showNote(note, response, usage) {
  const cost = usage.cost === undefined ? "cost unknown" : `$${Number(usage.cost).toFixed(9)}`;
  const link = document.createElement("a");
  link.href = `/requests/${encodeURIComponent(response.headers.get("x-llmdeal-request-id"))}`;
  link.textContent = "open the decision";
  const reason = (response.headers.get("x-llmdeal-reason") ?? "").replaceAll("_", " ");
  note.replaceChildren(`${cost} · ${usage.completion_tokens ?? "–"} tokens · ${reason} · `, link);
}
