/** Numbers, sizes, times and dates, in the user's locale. */
const locale = navigator.language;
const integers = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const percents = new Intl.NumberFormat(locale, {
  style: 'percent',
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const dates = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' });
const moments = new Intl.DateTimeFormat(locale, { dateStyle: 'short', timeStyle: 'medium' });

export function count(value: number | null | undefined): string {
  return value == null ? '–' : integers.format(value);
}

/** 0.931 -> 93.1 %. */
export function percent(fraction: number | null | undefined): string {
  return fraction == null ? '–' : percents.format(fraction);
}

/** Three significant digits. */
export function number(value: number | null | undefined): string {
  return value == null ? '–' : value.toLocaleString(locale, { maximumSignificantDigits: 3 });
}

/** In powers of 1000, as disks are sold. */
export function bytes(value: number | null | undefined): string {
  if (value == null) return '–';
  if (value < 1000) return `${integers.format(value)} B`;
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return new Intl.NumberFormat(locale, {
    style: 'unit',
    unit: units[power]!,
    unitDisplay: 'short',
    maximumSignificantDigits: 3,
  }).format(value / 1000 ** power);
}

/** Seconds -> "7.3 s", "1 min 23 s", "2 h 1 min". */
export function duration(seconds: number | null | undefined): string {
  if (seconds == null || !Number.isFinite(seconds)) return '–';
  if (seconds < 10) return `${seconds.toLocaleString(locale, { maximumFractionDigits: 1 })} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Seconds -> "4.2 ms", "130 ms". */
export function milliseconds(seconds: number): string {
  return `${(1000 * seconds).toLocaleString(locale, { maximumFractionDigits: seconds < 0.01 ? 1 : 0 })} ms`;
}

export function date(iso: string): string {
  return dates.format(new Date(iso));
}

/** A date and a time to the second. */
export function moment(iso: string): string {
  return moments.format(new Date(iso));
}

/** learningRate -> "learning rate". */
export function settingName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
