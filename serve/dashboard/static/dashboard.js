// Adds live numbers, tips and shortcuts to the pages. Every page works without it.
"use strict";

// "/" goes to the search field.
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const find = document.getElementById("find");
    if (find) {
      event.preventDefault();
      find.focus();
      find.select();
    }
  }
});

// Shows tips for elements with data-tip.
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("role", "tooltip");
document.body.append(tip);

function showTip(target, x, y) {
  tip.textContent = target.dataset.tip;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, x - box.width / 2), innerWidth - box.width - 8);
  const top = y - box.height - 14 < 8 ? y + 18 : y - box.height - 14;
  tip.style.left = `${left}px`;
  tip.style.top = `${top}px`;
}

document.addEventListener("pointermove", (event) => {
  const target = event.target.closest("[data-tip]");
  if (target) {
    // The browser's own tip would lie on top of ours.
    target.querySelector(":scope > title")?.remove();
    showTip(target, event.clientX, event.clientY);
  } else {
    tip.hidden = true;
  }
});
document.addEventListener("pointerleave", () => { tip.hidden = true; });
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true, capture: true });

// Numbers that change are fetched again every few seconds, while the page is visible.
const live = document.querySelector("[data-live]");
const REFRESH_MS = 3000;

function replaceContent(element, html) {
  element.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
}

async function refresh() {
  const isOpen = live.querySelector("details[open], .is-explored");
  const isBusy = live.contains(document.activeElement) || isOpen || String(getSelection());
  if (!document.hidden && !isBusy) {
    try {
      const response = await fetch(live.dataset.live, { headers: { accept: "text/html" }, redirect: "error" });
      if (response.ok) {
        replaceContent(live, await response.text());
      }
      showState(response.ok ? " · live" : " · not refreshed: reload the page");
    } catch {
      showState(" · the gateway does not answer");
    }
  }
  setTimeout(refresh, REFRESH_MS);
}

function showState(state) {
  const place = live.querySelector("[data-live-state]");
  if (place) {
    place.textContent = state;
  }
}

if (live) {
  showState(" · live");
  setTimeout(refresh, REFRESH_MS);
}

// A filter is sent as soon as the viewer chooses a value.
for (const form of document.querySelectorAll("form[data-autosend]")) {
  form.addEventListener("change", (event) => {
    if (event.target.matches("select")) {
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", () => {
    // Empty fields stay out of the address.
    for (const field of form.elements) {
      field.disabled = field.name !== "" && field.value === "";
    }
  });
}
// After "Back" the browser may show the page as it was left, with disabled fields.
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form[data-autosend] :disabled")) {
    field.disabled = false;
  }
});

// The theme changes at once. The form sets the cookie too.
for (const button of document.querySelectorAll(".theme button")) {
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    document.documentElement.dataset.theme = button.value;
    for (const other of document.querySelectorAll(".theme button")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    const body = new URLSearchParams({ theme: button.value, stay: "1" });
    await fetch("/theme", { method: "POST", body }).catch(() => {});
  });
}

// The list of lanes is filtered while the viewer types.
for (const input of document.querySelectorAll("[data-narrow]")) {
  const rows = document.querySelectorAll(`#${input.dataset.narrow} tbody tr`);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      row.hidden = !words.every((word) => row.dataset.words.toLowerCase().includes(word));
    }
  });
}

// A change that cannot be undone needs a confirmation.
for (const button of document.querySelectorAll("[data-confirm]")) {
  button.addEventListener("click", (event) => {
    if (!confirm(button.dataset.confirm)) {
      event.preventDefault();
    }
  });
}

// A button copies a secret without selecting it.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy).textContent;
    await navigator.clipboard.writeText(text).then(() => { button.textContent = "Copied"; }, () => {});
  });
}
