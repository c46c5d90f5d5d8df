// Keys and buttons of the review: each act names the picture that was on the screen when it was asked for.
const SIGNS = ["pointermove", "pointerdown", "keydown", "wheel", "touchmove"]; // of somebody in front of the page
const SIGN_EVERY = 10000; // ms
const KEYS = { a: "accept", k: "keep", o: "other", u: "unsure", z: "undo", Backspace: "undo" };

export default {
  template: `<div class="decisions" role="group" aria-label="Your decision"><slot></slot></div>`,
  props: { sample: String, preload: Array, quiet: Boolean },
  mounted() {
    this.pressed = (event) => {
      const field = ["INPUT", "TEXTAREA", "SELECT"].includes(document.activeElement?.tagName);
      if (this.quiet || field || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
      const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!act) return;
      event.preventDefault();
      this.act(act);
    };
    this.clicked = (event) => {
      const button = event.target.closest("[data-act]");
      if (button && !button.disabled) this.act(button.dataset.act);
    };
    this.sign = () => {
      if (document.hidden || performance.now() - (this.signed ?? -SIGN_EVERY) < SIGN_EVERY) return;
      this.signed = performance.now();
      this.$emit("here", {});
    };
    for (const name of SIGNS) document.addEventListener(name, this.sign, { passive: true });
    document.addEventListener("keydown", this.pressed);
    this.$el.addEventListener("click", this.clicked);
    this.load();
  },
  unmounted() {
    document.removeEventListener("keydown", this.pressed);
    for (const name of SIGNS) document.removeEventListener(name, this.sign);
  },
  updated() {
    this.load();
  },
  methods: {
    act(act) {
      this.$emit("act", { act, sample: this.sample });
    },
    load() {
      this.images = (this.preload ?? []).map((source) => Object.assign(new Image(), { src: source })); // kept, so that they arrive
    },
  },
};
