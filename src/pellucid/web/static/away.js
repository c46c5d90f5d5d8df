// Says that the server is away, goes on once it is back, and tells what happened meanwhile. Words are text, never HTML.

const SINCE = "pellucid_away"; // when the server was lost, in this tab: it outlives the page's being loaded anew
const clock = (at) => `${at.toISOString().slice(11, 19)} UTC`; // as all times on the pages
const BACK = "pellucid_back"; // what was told of it, until it is closed: a page loaded anew tells it again
const FLAPS = 60000; // ms; a server that is lost again so soon after it came back was away all the time
let leaving = false;
let bar = null;

function say(lines, over) {
  bar?.remove();
  bar = document.createElement("section");
  bar.className = over ? "away over" : "away";
  bar.setAttribute("role", "status");
  bar.setAttribute("aria-label", "Connection");
  const words = bar.appendChild(document.createElement("div"));
  for (const line of lines) words.appendChild(document.createElement("p")).textContent = line;
  if (over) {
    const close = bar.appendChild(document.createElement("button"));
    close.className = "quiet";
    close.textContent = "Close";
    close.addEventListener("click", () => {
      sessionStorage.removeItem(BACK);
      bar.remove();
    });
  }
  (document.querySelector("header.top") ?? document.body).appendChild(bar); // where it covers nothing that can be pressed
}

function lost() {
  if (leaving || sessionStorage.getItem(SINCE)) return;
  const now = new Date();
  sessionStorage.setItem(SINCE, now.toISOString());
  say([
    `The server has been away since ${clock(now)}. What you see is from then.`,
    "Nothing that was saved is lost. This page goes on by itself as soon as the server is back.",
  ]);
}

// What was told and not closed yet; null where there is nothing, or nothing that this script has written.
function untold() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(BACK));
    return Array.isArray(kept?.lines) ? kept : null;
  } catch {
    return null;
  }
}

async function found(tries = 5) {
  if (leaving || !window.socket.connected) return; // told by the page that is loaded anew, or once it is connected
  const since = sessionStorage.getItem(SINCE), before = untold();
  if (!since) return before ? say(before.lines, true) : undefined;
  const still = before && new Date(since) - new Date(before.at) < FLAPS;
  const first = still ? before.first : since;
  let told;
  try {
    const answer = await fetch(`/ui/meanwhile?since=${encodeURIComponent(first)}`);
    if (!answer.ok) throw new Error(String(answer.status));
    told = await answer.json();
  } catch {
    if (tries) return setTimeout(() => found(tries - 1), 2000);
    told = { restarted: null, lines: ["What happened meanwhile cannot be told now; the overview's timeline has it."] };
  }
  if (leaving || !window.socket.connected || sessionStorage.getItem(SINCE) !== since) return;
  const from = new Date(first), now = new Date();
  const seconds = Math.max(1, Math.round((now - from) / 1000));
  const why = told.restarted ? ` It was started again at ${clock(new Date(told.restarted))}.` : "";
  const nothing = told.lines.length ? [] : ["Nothing happened meanwhile."];
  const away = `The server is back: it was away from ${clock(from)} to ${clock(now)} (${seconds} s).${why}`;
  const lines = [away, ...told.lines, ...nothing];
  sessionStorage.removeItem(SINCE);
  sessionStorage.setItem(BACK, JSON.stringify({ first, at: now.toISOString(), lines }));
  say(lines, true);
}

function watch() {
  if (!window.socket) return setTimeout(watch, 100);
  let missing = null;
  window.socket.on("disconnect", () => (missing = setTimeout(lost, 300)));
  window.socket.on("connect", () => {
    clearTimeout(missing);
    setTimeout(() => found(), 1500); // a server that was started again does not know this page: it is loaded anew before
  });
  if (window.socket.connected) found();
}

function leave() {
  leaving = true;
  setTimeout(() => (leaving = false), 10000); // a download only looks like leaving
}

addEventListener("beforeunload", leave);
addEventListener("pagehide", leave);
const loaded = performance.getEntriesByType("navigation")[0]?.type;
if (loaded !== "reload") sessionStorage.removeItem(BACK); // whoever goes to another page has read it
watch();
