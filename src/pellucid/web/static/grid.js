// A wall of pictures of which only those in sight are there. Rows come in pages from `source`; a page or a picture that
// is scrolled past before its turn is never asked for. Words from the server are only ever set as text.
const PAGE = 200; // rows asked for at once
const KEPT = 40; // pages kept
const OVERSCAN = 2; // lines above and below what is in sight
const GAP = 12, WORDS = 26; // pixels: between pictures, and the line below each
const FAST = 1.5; // pixels a millisecond, above which pictures are not asked for
const REST = 90; // milliseconds of rest after which they are, whatever the speed was
const AGAIN = 2000; // milliseconds after which a server that was away is asked again
const TRIES = 5; // times that a picture which did not come is asked for again

export default {
  template: `
    <div class="wall">
      <div ref="box" class="wall-box" tabindex="0" role="listbox" aria-label="Pictures" :aria-busy="busy"
        :aria-activedescendant="named" v-show="count !== 0" @scroll.passive="scrolled" @keydown="key" @focus="focused">
        <div ref="all" class="wall-all" role="presentation"></div>
      </div>
      <p class="note wall-note" role="status">{{ said }}</p>
    </div>`,
  props: { source: String, side: { type: Number, default: 148 } },
  data: () => ({ count: null, total: 0, busy: true, trouble: "", named: undefined }),
  computed: {
    said() {
      if (this.trouble) return this.trouble;
      if (this.count === null) return "Loading…";
      const number = (n) => n.toLocaleString("en");
      if (this.count === 0) return "No picture fits; take a filter away.";
      const of = this.count === this.total ? "" : ` of ${number(this.total)}`;
      return `${number(this.count)}${of} pictures. Arrows move, Enter opens.`;
    },
  },
  watch: {
    source() { this.reset(); },
    side() { this.layout(); },
  },
  created() {
    // Not reactive: the wall is drawn by hand, because a frame has 16 ms.
    this.pages = new Map(); this.coming = new Map(); this.cells = new Map(); this.free = [];
    this.active = 0; this.columns = 1; this.last = { top: 0, at: 0, speed: 0 };
  },
  mounted() {
    this.watcher = new ResizeObserver(() => this.layout());
    this.watcher.observe(this.$refs.box);
    this.$refs.all.addEventListener("click", (event) => {
      const cell = event.target.closest("[role=option]");
      if (cell) { this.choose(cell.index); this.open(); }
    });
    this.reset();
  },
  beforeUnmount() {
    this.watcher.disconnect();
    for (const call of this.coming.values()) call.abort();
    clearTimeout(this.timer); clearTimeout(this.retry); cancelAnimationFrame(this.frame);
  },
  methods: {
    reset() {
      for (const call of this.coming.values()) call.abort();
      clearTimeout(this.retry);
      this.pages.clear(); this.coming.clear();
      for (const index of [...this.cells.keys()]) this.drop(index);
      this.count = null; this.busy = true; this.active = 0; this.named = undefined; this.trouble = "";
      this.$refs.box.scrollTop = 0;
      this.fetch(0);
    },
    async fetch(page) {
      if (this.pages.has(page) || this.coming.has(page)) return;
      const call = new AbortController(), source = this.source;
      this.coming.set(page, call);
      try {
        const answer = await fetch(`${source}&offset=${page * PAGE}&limit=${PAGE}`, { signal: call.signal });
        if (answer.status === 401) {
          location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search));
          return;
        }
        const found = await answer.json();
        if (!answer.ok) throw Object.assign(new Error(found.error), { final: answer.status < 500 });
        if (source !== this.source) return;
        this.pages.set(page, found.rows);
        while (this.pages.size > KEPT) this.pages.delete(this.pages.keys().next().value);
        this.trouble = ""; this.busy = false;
        const grown = this.count !== found.count;
        this.count = found.count; this.total = found.total;
        if (grown) this.$nextTick(() => this.layout()); else this.draw();
      } catch (error) {
        if (call.signal.aborted) return;
        this.trouble = error instanceof TypeError ? "The server does not answer; trying again…" : error.message;
        clearTimeout(this.retry);
        if (error.final) return;
        this.retry = setTimeout(() => (this.count === null ? this.fetch(0) : this.draw()), AGAIN);
      } finally {
        if (this.coming.get(page) === call) this.coming.delete(page);
      }
    },
    layout() {
      const width = this.$refs.box.clientWidth - GAP;
      if (width <= 0 || this.count === null) return;
      const first = this.first_line() * this.columns; // the picture that is in sight stays in sight
      const before = this.columns;
      this.columns = Math.max(2, Math.floor(width / (this.side + GAP)));
      this.edge = Math.floor(width / this.columns) - GAP;
      this.line = this.edge + WORDS + GAP;
      this.$refs.all.style.height = `${Math.ceil(this.count / this.columns) * this.line + GAP}px`;
      if (before !== this.columns && first) this.$refs.box.scrollTop = Math.floor(first / this.columns) * this.line;
      for (const cell of this.cells.values()) this.place(cell);
      this.draw();
    },
    first_line() { return this.line ? Math.floor(this.$refs.box.scrollTop / this.line) : 0; },
    scrolled() {
      const now = performance.now(), top = this.$refs.box.scrollTop;
      this.last = { top, at: now, speed: Math.abs(top - this.last.top) / Math.max(1, now - this.last.at) };
      if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
    },
    draw() {
      if (!this.line || !this.count) return;
      // A box is never higher than the window; without its styles it would be as high as all the pictures.
      const lines = Math.ceil(Math.min(this.$refs.box.clientHeight, window.innerHeight) / this.line) + 1;
      const from = Math.max(0, (this.first_line() - OVERSCAN) * this.columns);
      const to = Math.min(this.count, (this.first_line() + lines + OVERSCAN) * this.columns);
      for (const index of [...this.cells.keys()]) if (index < from || index >= to) this.drop(index);
      const resting = performance.now() - this.last.at > REST;
      const calm = resting || this.last.speed < FAST;
      for (let index = from; index < to; index++) this.fill(this.cells.get(index) || this.make(index), calm);
      const first = Math.floor(from / PAGE), last = Math.floor((to - 1) / PAGE);
      for (const [page, call] of this.coming) if (page < first - 1 || page > last + 1) { call.abort(); this.coming.delete(page); }
      if (calm) for (let page = first; page <= last; page++) this.fetch(page);
      this.name();
      clearTimeout(this.timer);
      if (!resting) this.timer = setTimeout(() => this.draw(), REST + 10);
    },
    make(index) {
      let cell = this.free.pop();
      if (!cell) {
        cell = document.createElement("div");
        cell.setAttribute("role", "option");
        cell.append(document.createElement("img"), document.createElement("span"), document.createElement("span"));
        [cell.image, cell.words, cell.mark] = cell.children;
        cell.image.alt = ""; cell.image.decoding = "async";
        cell.image.onload = () => cell.image.classList.add("there");
        cell.image.onerror = () => this.again(cell, cell.row);
        cell.words.className = "wall-words"; cell.mark.className = "wall-mark";
        this.$refs.all.append(cell);
      }
      cell.index = index; cell.row = null; cell.tries = 0; cell.hidden = false;
      cell.id = `picture-${index}`;
      cell.setAttribute("aria-posinset", index + 1);
      cell.setAttribute("aria-setsize", this.count);
      this.cells.set(index, cell);
      this.place(cell);
      return cell;
    },
    again(cell, row) {
      // The server was away, or the picture is damaged: a few times more, as long as it is in sight.
      if (!row || cell.tries >= TRIES) return;
      cell.tries += 1;
      setTimeout(() => {
        if (cell.row === row) { cell.asked = false; this.draw(); }
      }, AGAIN);
    },
    place(cell) {
      const line = Math.floor(cell.index / this.columns), column = cell.index % this.columns;
      cell.style.cssText = `width:${this.edge}px;height:${this.edge + WORDS}px;` +
        `transform:translate(${GAP + column * (this.edge + GAP)}px,${GAP + line * this.line}px)`;
    },
    fill(cell, calm) {
      if (!cell.row) {
        const page = this.pages.get(Math.floor(cell.index / PAGE)), row = page && page[cell.index % PAGE];
        cell.setAttribute("aria-label", row ? spoken(row) : `Picture ${cell.index + 1}, loading`);
        if (!row) { cell.className = "wall-cell"; return; }
        cell.row = row;
        cell.className = row.status === "ok" ? "wall-cell" : "wall-cell aside";
        cell.words.textContent = row.label ?? "no label";
        cell.mark.textContent = row.status !== "ok" ? row.status.replace("_", " ")
          : row.trust < 1 ? `${Math.floor(row.trust * 100)} %` : row.split === "train" ? "" : row.split;
        cell.title = row.path || row.sample;
      }
      if (calm && !cell.asked) {
        cell.asked = true;
        const pixels = this.edge * Math.min(2, devicePixelRatio);
        cell.image.src = `/ui/pictures/${cell.row.sample}?side=${pixels > 200 ? 384 : pixels > 110 ? 192 : 96}`;
      }
    },
    drop(index) {
      const cell = this.cells.get(index);
      this.cells.delete(index);
      cell.image.classList.remove("there");
      cell.image.removeAttribute("src"); // takes back what was asked for and has not come
      cell.asked = false; cell.row = null; cell.hidden = true;
      cell.words.textContent = cell.mark.textContent = ""; cell.title = ""; cell.id = "";
      cell.removeAttribute("aria-selected");
      this.free.push(cell);
    },
    name() {
      for (const [index, cell] of this.cells) cell.setAttribute("aria-selected", index === this.active);
      this.named = this.cells.has(this.active) ? `picture-${this.active}` : undefined;
    },
    choose(index) {
      this.active = Math.max(0, Math.min(this.count - 1, index));
      const box = this.$refs.box, top = Math.floor(this.active / this.columns) * this.line;
      if (top < box.scrollTop) box.scrollTop = top;
      else if (top + this.line + GAP > box.scrollTop + box.clientHeight) box.scrollTop = top + this.line + GAP - box.clientHeight;
      this.draw();
    },
    async open() {
      const page = Math.floor(this.active / PAGE);
      if (!this.pages.has(page)) await this.fetch(page);
      const row = this.pages.get(page)?.[this.active % PAGE];
      if (row) this.$emit("open", row.sample);
    },
    step(by) {
      if (this.count) { this.choose(this.active + by); this.open(); }
    },
    come_back() { this.$refs.box.focus({ preventScroll: true }); },
    focused() { if (!this.cells.has(this.active) && this.count) this.choose(this.first_line() * this.columns); },
    key(event) {
      if (!this.count || event.ctrlKey || event.metaKey || event.altKey) return;
      const screen = Math.max(1, Math.floor(this.$refs.box.clientHeight / this.line)) * this.columns;
      const steps = {
        ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
        PageUp: -screen, PageDown: screen, Home: -this.count, End: this.count,
      };
      if (event.key in steps) this.choose(this.active + steps[event.key]);
      else if (event.key === "Enter" || event.key === " ") this.open();
      else return;
      event.preventDefault();
    },
  },
};

function spoken(row) {
  const label = row.label === null ? "no label" : `label ${row.label}`;
  const status = row.status === "ok" ? "" : `, ${row.status.replace("_", " ")}`;
  const file = row.path ? `, ${row.path.split("/").pop()}` : "";
  return `${label}, trust ${Math.floor(row.trust * 100)} %, ${row.split}${status}${file}`;
}
