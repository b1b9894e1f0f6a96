// The reader's language: which, its words, and how it writes numbers and times.

import { signal } from "./dom.js";
import { load, save } from "./storage.js";
import { WORDS } from "./words.js";

const LANGUAGES = ["es", "en"];
const short = (tag) => tag.slice(0, 2).toLowerCase();
const preferred = navigator.languages?.length ? navigator.languages : [navigator.language ?? "es"];

export let language = LANGUAGES.includes(load("idioma")) ? load("idioma") : chosen();
/** The words in that language: `t.buy`, `t.credits(5)`, `t.short({ nombre, missing, token })`. */
export let t;
export const onLanguage = signal();

let formats;
speak();

function chosen() {
  return preferred.map(short).find((tag) => LANGUAGES.includes(tag)) ?? "es";
}

function speak() {
  // es-MX writes 984,398 and es-ES 984.398: the whole tag counts, where it is of the chosen language
  const locale = preferred.find((tag) => short(tag) === language) ?? language;
  const numbers = (options) => new Intl.NumberFormat(locale, options).format;
  const dates = (options) => new Intl.DateTimeFormat(locale, options).format;
  formats = {
    // without "always", Spanish leaves 1098 ungrouped beside 11.098
    whole: numbers({ maximumFractionDigits: 0, useGrouping: "always" }),
    tenths: numbers({ maximumFractionDigits: 1, useGrouping: "always" }),
    percent: numbers({ style: "percent", maximumFractionDigits: 0 }),
    time: dates({ timeStyle: "medium" }),
    date: dates({ dateStyle: "medium", timeStyle: "short" }),
  };
  t = inLanguage(WORDS, LANGUAGES.indexOf(language));
}

function inLanguage(words, n) {
  const one = (word) => (!Array.isArray(word) ? inLanguage(word, n) : word[n].includes("{") ? sentence(word[n]) : word[n]);
  return Object.fromEntries(Object.entries(words).map(([name, word]) => [name, one(word)]));
}

/** A function that fills a sentence with named values; a value by itself is the only one. */
function sentence(text) {
  return (values) =>
    text.replace(/\{(\w+)(?:(\$)|([:?])([^|}]*)\|([^}]*))?\}/g, (_, name, credits, kind, one, many) => {
      const value = Object(values) === values ? values[name] : values;
      const written = typeof value === "number" ? whole(value) : isolated(value ?? "?");
      if (credits) return `${written} ${t.creditWord(value)}`;
      const noun = value === 1 ? one : many;
      return kind === ":" ? `${written} ${noun}` : kind ? noun : written;
    });
}

/** A text that turns nothing around it, where it is written from right to left or has marks of direction in it. */
const TURNING = /[\u0590-\u08ff\u200e-\u2069\ufb1d-\ufefc]/;
const isolated = (text) => (TURNING.test(text) ? `\u2068${text}\u2069` : text);

export function changeLanguage() {
  language = LANGUAGES.find((tag) => tag !== language);
  save("idioma", language);
  speak();
  onLanguage.call();
}

export const whole = (n) => formats.whole(n);
export const tenths = (n) => formats.tenths(n);
export const percent = (n) => formats.percent(n);
export const timeOf = (text) => formats.time(new Date(text));
export const dateOf = (text) => formats.date(new Date(text));
/** A time span in ms as people say it: 0.8 ms, 12 ms, 3.4 s. */
export function span(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (ms >= 1000) return `${tenths(ms / 1000)} s`;
  return `${ms < 10 ? tenths(ms) : whole(ms)} ms`;
}
/** A time span in ms for clocks that tick once a second: 6 s, 2 min 5 s, 3 h 1 min. */
export function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  return s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
}
