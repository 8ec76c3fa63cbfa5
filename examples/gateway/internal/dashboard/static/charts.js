"use strict";
// Charts of the last minutes on a canvas: stacked areas or lines, with a scale
// that starts at zero, is given, or is logarithmic.

const WINDOW = 180; // seconds

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

// niceCeil rounds up to 1, 2 or 5 times a power of ten.
function niceCeil(x) {
  if (!(x > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(x));
  for (const step of [1, 2, 5, 10]) if (x <= step * power) return step * power;
}

// chart draws points into a canvas. series: [{color, value(point)}]; options:
// stacked, max, log, label(value), grid (how many lines).
function chart(canvas, points, series, options) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const c = canvas.getContext("2d");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, width, height);

  const left = 52, right = 6, top = 8, bottom = 18;
  const newest = points.length ? points[points.length - 1].at : Date.now();
  const x = at => left + (width - left - right) * (1 - (newest - at) / 1000 / (WINDOW - 1));
  const rows = points.map(p => {
    let sum = 0;
    return series.map(s => {
      const v = s.value(p);
      if (v === null || Number.isNaN(v)) return null;
      if (!options.stacked) return v;
      sum += v;
      return sum;
    });
  });
  const values = rows.flat().filter(v => v !== null && v > 0);
  const scale = options.log ? logScale(values) : linearScale(values, options);
  const y = v => top + (height - top - bottom) * (1 - scale.at(v));

  c.font = "11px system-ui, 'DejaVu Sans', sans-serif";
  c.textBaseline = "middle";
  c.textAlign = "right";
  for (const v of scale.lines) {
    c.strokeStyle = color("line");
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(left, Math.round(y(v)) + .5);
    c.lineTo(width - right, Math.round(y(v)) + .5);
    c.stroke();
    c.fillStyle = color("quiet");
    c.fillText(options.label(v), left - 6, y(v));
  }
  c.textBaseline = "alphabetic";
  c.fillStyle = color("quiet");
  for (const [text, seconds, align] of [["3 min ago", WINDOW - 1, "left"], ["now", 0, "right"]]) {
    c.textAlign = align;
    c.fillText(text, x(newest - seconds * 1000), height - 4);
  }

  c.save();
  c.beginPath();
  c.rect(left, 0, width - left - right + 1, height);
  c.clip();
  for (let s = series.length - 1; s >= 0; s--) {
    c.beginPath();
    let open = false;
    points.forEach((p, i) => {
      const v = rows[i][s];
      if (v === null) { open = false; return; }
      if (open) c.lineTo(x(p.at), y(v)); else c.moveTo(x(p.at), y(v));
      open = true;
    });
    if (options.stacked && points.length) {
      c.lineTo(x(newest), y(0));
      c.lineTo(x(points[0].at), y(0));
      c.closePath();
      c.fillStyle = color(series[s].color);
      c.fill();
    } else {
      c.strokeStyle = color(series[s].color);
      c.lineWidth = 2;
      c.lineJoin = "round";
      c.stroke();
    }
  }
  c.restore();
}

function linearScale(values, options) {
  const max = options.max || niceCeil(values.reduce((a, b) => Math.max(a, b), 0) * 1.05);
  const lines = [0, .25, .5, .75, 1].map(f => f * max);
  return { lines, at: v => Math.min(1, v / max) };
}

function logScale(values) {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity), high = values.reduce((a, b) => Math.max(a, b), 0);
  const from = values.length ? Math.floor(Math.log10(low)) : 1;
  const to = Math.max(from + 1, values.length ? Math.ceil(Math.log10(high)) : 5);
  const lines = [];
  for (let e = from; e <= to; e++) lines.push(10 ** e);
  return { lines, at: v => v > 0 ? Math.max(0, (Math.log10(v) - from) / (to - from)) : 0 };
}
