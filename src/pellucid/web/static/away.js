// Says that the server is away, goes on once it is back, and tells what happened meanwhile. Words are text, never HTML.

const SINCE = "pellucid_away"; // when the server was lost, in this tab: it outlives the page's being loaded anew
const clock = (at) => `${at.toISOString().slice(11, 19)} UTC`; // as all times on the pages
const BACK = "pellucid_back"; // what was told of it, until it is closed: a page loaded anew tells it again
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

// The absence that is to be told: its begin and end, and the first moment of which nothing was told and closed yet.
function absence() {
  const since = sessionStorage.getItem(SINCE);
  const before = JSON.parse(sessionStorage.getItem(BACK));
  return since ? { first: before?.first ?? since, from: since, to: new Date().toISOString() } : before;
}

async function found(tries = 5) {
  const away = absence();
  if (!away || leaving) return; // a page that is about to be loaded anew tells it then
  let told;
  try {
    const answer = await fetch(`/ui/meanwhile?since=${encodeURIComponent(away.first)}`);
    if (!answer.ok) throw new Error(String(answer.status));
    told = await answer.json();
  } catch {
    if (tries) return setTimeout(() => found(tries - 1), 2000);
    told = { restarted: null, lines: ["What happened meanwhile cannot be told now; the overview's timeline has it."] };
  }
  if (leaving || absence()?.from !== away.from) return;
  sessionStorage.removeItem(SINCE);
  sessionStorage.setItem(BACK, JSON.stringify(away));
  const from = new Date(away.from), to = new Date(away.to);
  const seconds = Math.max(1, Math.round((to - from) / 1000));
  const why = told.restarted ? ` It was started again at ${clock(new Date(told.restarted))}.` : "";
  const nothing = told.lines.length ? [] : ["Nothing happened meanwhile."];
  say([`The server is back: it was away from ${clock(from)} to ${clock(to)} (${seconds} s).${why}`, ...told.lines, ...nothing], true);
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
