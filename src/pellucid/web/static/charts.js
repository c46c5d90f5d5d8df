// What charts need in the browser beside ECharts: the page's colours, intervals, tips as plain text, PNG files.

const pellucidColour = (name) => getComputedStyle(document.body).getPropertyValue(`--${name}`).trim();
let pellucidPainted; // whether the page was dark when the charts were painted last

// Asked by every chart that is drawn or drawn again: is the page dark? The colours follow before the next frame.
function pellucidDark() {
  requestAnimationFrame(pellucidPaint);
  return document.body.classList.contains("body--dark");
}

function pellucidPaint() {
  pellucidPainted = document.body.classList.contains("body--dark");
  const [ink, muted, line, card] = ["ink", "muted", "line", "card"].map(pellucidColour);
  const axis = {
    axisLabel: { color: muted },
    nameTextStyle: { color: muted },
    axisLine: { lineStyle: { color: line } },
    axisTick: { lineStyle: { color: line } },
    splitLine: { lineStyle: { color: line } },
  };
  for (const box of document.querySelectorAll(".chart .nicegui-echart")) {
    getElement(box.id.slice(1))?.chart?.setOption({
      textStyle: { color: ink },
      legend: { textStyle: { color: muted }, inactiveColor: line },
      tooltip: { backgroundColor: card, borderColor: line, textStyle: { color: ink } },
      xAxis: axis,
      yAxis: axis,
    });
  }
}

addEventListener("DOMContentLoaded", () => {
  const look = () => document.body.classList.contains("body--dark") !== pellucidPainted && pellucidPaint();
  new MutationObserver(look).observe(document.body, { attributeFilter: ["class"] });
});

const pellucidShown = (value, digits) =>
  typeof value === "number" ? value.toLocaleString("en", { maximumFractionDigits: digits }) : "no value";

// A tip is drawn on the canvas as text, so that no name can be markup. `where` names the place on the x axis.
const pellucidTip = (unit, digits, where) => (points) => {
  const shown = points.filter((point) => point.seriesType !== "custom");
  const lines = shown.map(({ seriesName, value: [, y, low, high] }) => {
    const between = low == null ? "" : ` (${pellucidShown(low, digits)} to ${pellucidShown(high, digits)})`;
    return `${seriesName}: ${pellucidShown(y, digits)}${unit}${between}`;
  });
  return [where(points[0]), ...lines].join("\n");
};
const pellucidAt = {
  names: (point) => point.axisValueLabel,
  number: (unit) => (point) => pellucidShown(point.value[0], 3) + unit,
  time: (point) => new Date(point.value[0]).toLocaleString(),
};

// Items of ECharts' custom series; each datum is [x, y, low, high].
function pellucidBand(params, api) {
  if (params.dataIndexInside !== 0) return undefined;
  const rows = Array.from({ length: params.dataInsideLength }, (_, i) => [0, 2, 3].map((part) => api.value(part, i)));
  const known = rows.filter(([, low, high]) => Number.isFinite(low) && Number.isFinite(high));
  const points = [
    ...known.map(([x, , high]) => api.coord([x, high])),
    ...known.reverse().map(([x, low]) => api.coord([x, low])),
  ];
  return { type: "polygon", silent: true, shape: { points }, style: { fill: api.visual("color"), opacity: 0.16 } };
}

const pellucidWhisker = (count, place) => (params, api) => {
  if (!Number.isFinite(api.value(2))) return undefined;
  const shift = count ? api.barLayout({ count, barMaxWidth: 34, barGap: "20%" })[place].offsetCenter : 0;
  const [low, high] = [2, 3].map((part) => api.coord([api.value(0), api.value(part)]));
  const stroke = (x1, y1, x2, y2) => ({
    type: "line", silent: true, shape: { x1: x1 + shift, y1, x2: x2 + shift, y2 },
    style: { stroke: pellucidColour("ink"), lineWidth: 1.5 },
  });
  const cap = (at) => stroke(at[0] - 5, at[1], at[0] + 5, at[1]);
  return { type: "group", children: [stroke(...low, ...high), cap(low), cap(high)] };
};

function pellucidSavePng(id, name) {
  const link = document.createElement("a");
  link.href = getElement(id).chart.getDataURL({ type: "png", pixelRatio: 2, backgroundColor: pellucidColour("card") });
  link.download = name;
  link.click();
}
