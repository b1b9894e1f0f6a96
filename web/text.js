// The reader's language: which, how it writes numbers and times, and how a part of the page is told when it changes.

import { signal } from "./dom.js";
import { load, save } from "./storage.js";
import { en } from "./text-en.js";
import { es } from "./text-es.js";

const TEXTS = { es, en };
const short = (tag) => tag.slice(0, 2).toLowerCase();
const preferred = navigator.languages?.length ? navigator.languages : [navigator.language ?? "es"];

/** `es` or `en`. */
export let language = chosen();
/** The texts in that language: `t.buy`, `t.credits(5)`. */
export let t = TEXTS[language];
/** After a change of language. */
export const onLanguage = signal();

let formats = makeFormats();

function chosen() {
  const saved = load("idioma");
  if (saved in TEXTS) return saved;
  return preferred.map(short).find((tag) => tag in TEXTS) ?? "es";
}

function makeFormats() {
  // es-MX writes 984,398 and es-ES 984.398: the whole tag counts, where it is of the chosen language
  const locale = preferred.find((tag) => short(tag) === language) ?? language;
  const numbers = (options) => new Intl.NumberFormat(locale, options).format;
  const dates = (options) => new Intl.DateTimeFormat(locale, options).format;
  return {
    // without "always", Spanish leaves 1098 ungrouped beside 11.098
    whole: numbers({ maximumFractionDigits: 0, useGrouping: "always" }),
    tenths: numbers({ maximumFractionDigits: 1, useGrouping: "always" }),
    percent: numbers({ style: "percent", maximumFractionDigits: 0 }),
    time: dates({ timeStyle: "medium" }),
    date: dates({ dateStyle: "medium", timeStyle: "short" }),
  };
}

/** Changes the language for this browser. */
export function setLanguage(tag) {
  language = tag;
  t = TEXTS[tag];
  formats = makeFormats();
  save("idioma", tag);
  document.documentElement.lang = tag;
  onLanguage.call();
}

/** A whole number. */
export const whole = (n) => formats.whole(n);
/** A number with at most one decimal. */
export const tenths = (n) => formats.tenths(n);
/** A part of one. */
export const percent = (n) => formats.percent(n);
/** The time of day of a server's timestamp. */
export const timeOf = (text) => formats.time(new Date(text));
/** Day and time of a server's timestamp. */
export const dateOf = (text) => formats.date(new Date(text));
/** A time span in ms as people say it: 0.8 ms, 12 ms, 3.4 s. */
export function span(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  if (ms < 10) return `${tenths(ms)} ms`;
  return ms < 1000 ? `${whole(ms)} ms` : `${tenths(ms / 1000)} s`;
}
/** A time span in ms for clocks that tick once a second: 6 s, 2 min 5 s, 3 h 1 min. */
export function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  return s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
}
