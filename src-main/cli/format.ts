/** Numbers and tables as people read them. */

/** 0.9312 -> "93.1 %"; null and undefined -> "-". */
export function percent(fraction: number | null | undefined): string {
  return fraction == null ? '-' : `${(100 * fraction).toFixed(1)} %`;
}

/** 7.31 -> "7.3 s", 83 -> "1 min 23 s", 7260 -> "2 h 1 min". */
export function duration(seconds: number | null | undefined): string {
  if (seconds == null || !Number.isFinite(seconds)) return '-';
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** 0.0042 -> "4.2 ms", 0.731 -> "731 ms", and from a second on as `duration`. */
export function milliseconds(seconds: number): string {
  const ms = seconds * 1000;
  if (ms >= 999.5) return duration(seconds);
  return `${ms.toFixed(ms < 9.95 ? 1 : 0)} ms`;
}

/** 3_600_000 -> "3.6 MB". In powers of 1000, as disks are sold. */
export function byteSize(bytes: number | null | undefined): string {
  if (bytes == null) return '-';
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** 1234567 -> "1,234,567". */
export function grouped(count: number | null | undefined): string {
  return count == null ? '-' : count.toLocaleString('en-US');
}

/** "1 image", "2 images", "2 classes". */
export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${grouped(count)} ${count === 1 ? singular : plural}`;
}

/**
 * Columns under their headings, two spaces apart. Headings that end in ">" stand at the right, as numbers should; the
 * mark itself is not printed.
 */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = headings.map((heading) => heading.endsWith('>'));
  const lines = [headings.map((heading) => heading.replace(/>$/, '')), ...rows];
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => width(line[column] ?? ''))));
  return lines
    .map((line) =>
      widths
        .map((columnWidth, column) => {
          const cell = line[column] ?? '';
          const blanks = ' '.repeat(columnWidth - width(cell));
          return right[column] ? blanks + cell : cell + blanks;
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function width(text: string): number {
  return Array.from(text).length;
}
