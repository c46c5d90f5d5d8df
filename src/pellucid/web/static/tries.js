// Sends pictures one by one: dropped, pasted, chosen or photographed. What cannot be sent now is kept, to be sent again.
const NETWORK = "the server does not answer; nothing is lost, send it again when it is back";
const LATER = new Set([401, 408, 429, 502, 503, 504]); // another time the same file may pass
const KINDS = "it is not a picture; pictures are JPEG, PNG, WebP, BMP, GIF or TIFF files";
const MEGABYTE = 2 ** 20;
const LEFT = "pellucid_unsent"; // names of files that were not answered when this tab left the page
const NAMED = 3; // of them that are told by name

export default {
  template: `
    <div class="tries" :class="{over}" @dragenter.prevent="over = true" @dragleave.self="over = false">
      <q-icon name="add_photo_alternate" aria-hidden="true" />
      <p class="lead">Drop pictures here, or paste one</p>
      <div class="row">
        <label class="choose" :class="{off: disabled}"><input ref="files" type="file" accept="image/*" multiple :disabled="disabled" @change="choose">Choose pictures</label>
        <label class="choose second" :class="{off: disabled}"><input ref="camera" type="file" accept="image/*" capture="environment" :disabled="disabled" @change="choose">Take a photograph</label>
      </div>
      <p class="note">Up to {{ most }} at a time, each up to {{ Math.floor(bytes / 1048576) }} MB. What is sent is kept with its answer.</p>
      <div v-if="sending" class="row going">
        <progress :value="done + share" :max="total" aria-label="Pictures sent"></progress>
        <span class="number">{{ done + 1 }} of {{ total }}</span>
        <button type="button" class="quiet" @click="stop">Stop</button>
      </div>
      <p class="outcome" role="status">{{ said }}</p>
      <button v-if="!sending && failed.length" type="button" class="choose again" @click="again">Send {{ failed.length === 1 ? "it" : "all " + failed.length }} again</button>
    </div>`,
  props: { url: String, most: Number, bytes: Number, disabled: Boolean },
  data: () => ({ over: false, sending: false, said: "", done: 0, total: 0, share: 0, answered: 0, refused: 0, failed: [] }),
  mounted() {
    this.waiting = [];
    this.going = null; // the file that is being sent
    this.events = { dragover: (e) => e.preventDefault(), drop: this.drop, paste: this.paste };
    for (const [name, handler] of Object.entries(this.events)) document.addEventListener(name, handler);
    addEventListener("beforeunload", this.warn);
    addEventListener("pagehide", this.note);
    this.tellLeft();
  },
  unmounted() {
    this.stop();
    for (const [name, handler] of Object.entries(this.events)) document.removeEventListener(name, handler);
    removeEventListener("beforeunload", this.warn);
    removeEventListener("pagehide", this.note);
  },
  methods: {
    unsent() {
      return [...(this.going ? [this.going] : []), ...this.waiting, ...this.failed].map((file) => file.name);
    },
    warn(event) {
      if (this.unsent().length) event.preventDefault(); // the browser asks, in words of its own
    },
    note() {
      const names = this.unsent();
      if (names.length) sessionStorage.setItem(LEFT, JSON.stringify(names));
    },
    tellLeft() {
      const names = JSON.parse(sessionStorage.getItem(LEFT) ?? "[]");
      sessionStorage.removeItem(LEFT);
      if (!names.length) return;
      const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
      const were = names.length === 1 ? "1 picture was" : `${names.length} pictures were`;
      this.said = `${were} not answered, because this page was left: ${names.slice(0, NAMED).join(", ")}${more}. Choose again what you still want answered.`;
    },
    begin() {
      if (this.sending) return;
      sessionStorage.removeItem(LEFT); // a browser may bring back the very page that was left
      Object.assign(this, { done: 0, total: 0, answered: 0, refused: 0, said: "" });
      this.$emit("begun");
    },
    choose(event) {
      this.take([...event.target.files]);
      event.target.value = ""; // so that the same picture can be chosen again
    },
    drop(event) {
      event.preventDefault(); // a picture that misses the box must not replace the page
      this.over = false;
      const folders = new Set([...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry?.isDirectory).map((entry) => entry.name));
      this.take([...event.dataTransfer.files].filter((file) => !folders.has(file.name)), [...folders]);
    },
    paste(event) {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length) this.take(files);
    },
    take(files, folders = []) {
      if (this.disabled || !(files.length + folders.length)) return;
      this.begin();
      for (const name of folders) this.refuse(name, "it is a folder; open it and choose its pictures");
      const room = Math.max(0, this.most - this.waiting.length);
      if (files.length > room) {
        const more = files.length - room;
        this.refuse(`${files.length} files`, `at most ${this.most} are taken at a time: the first ${room} are sent, offer the other ${more} again after them`, false);
      }
      for (const file of files.slice(0, room)) {
        if (file.type && !file.type.startsWith("image/")) this.refuse(file.name, KINDS);
        else if (file.size > this.bytes) this.refuse(file.name, `it has ${Math.ceil(file.size / MEGABYTE)} MB, at most ${Math.floor(this.bytes / MEGABYTE)} MB are taken; send a smaller copy`);
        else this.waiting.push(file);
      }
      this.total = this.done + this.waiting.length + (this.sending ? 1 : 0);
      if (!this.sending) this.run();
    },
    async run() {
      this.sending = this.waiting.length > 0;
      while (this.waiting.length) {
        const file = (this.going = this.waiting.shift());
        const found = await this.send(file);
        this.going = null;
        if (found.id) {
          this.answered += 1;
          this.$emit("tried", { id: found.id, name: file.name });
        } else if (found.stopped) {
          this.failed.push(file);
        } else {
          this.refuse(file.name, found.error);
          if (found.later) {
            this.failed.push(file, ...this.waiting.splice(0)); // what follows would fare alike
          }
        }
        this.done += 1;
        this.share = 0;
      }
      this.sending = false;
      this.said = [
        this.answered && `${this.answered} ${this.answered === 1 ? "picture" : "pictures"} answered`,
        this.refused && `${this.refused} could not be answered`,
        this.failed.length && `${this.failed.length} kept, to be sent again`,
      ].filter(Boolean).join(", ");
    },
    send(file) {
      return new Promise((resolve) => {
        const request = (this.request = new XMLHttpRequest());
        request.open("POST", (window.path_prefix ?? "") + this.url);
        request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
        request.responseType = "json";
        request.upload.onprogress = (event) => (this.share = event.lengthComputable ? event.loaded / event.total : 0);
        request.onload = () =>
          resolve(request.status === 200 && request.response?.id ? request.response : { error: request.response?.error ?? `the server answered ${request.status}`, later: LATER.has(request.status) });
        request.onerror = () => resolve({ error: NETWORK, later: true });
        request.onabort = () => resolve({ stopped: true });
        request.send(file);
      });
    },
    refuse(name, why, counts = true) {
      if (counts) this.refused += 1;
      this.$emit("refused", { name, why });
    },
    again() {
      const files = this.failed.splice(0);
      this.take(files);
    },
    stop() {
      this.failed.push(...(this.waiting ?? []).splice(0));
      this.request?.abort();
    },
  },
};
