/** Files that the window makes itself. */
import type { Series } from '../charts/series.ts';

export function saveImage(canvas: HTMLCanvasElement, name: string): void {
  const opaque = document.createElement('canvas');
  opaque.width = canvas.width;
  opaque.height = canvas.height;
  const context = opaque.getContext('2d')!;
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--surface');
  context.fillRect(0, 0, opaque.width, opaque.height);
  context.drawImage(canvas, 0, 0);
  opaque.toBlob((blob) => blob && save(blob, name));
}

/** One line for each x, a column for each series. */
export function saveCsv(series: readonly Series[], xLabel: string, name: string): void {
  const xs = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  const columns = series.map(({ points }) => new Map(points.map(({ x, y }) => [x, y])));
  const lines = [
    [xLabel, ...series.map((one) => one.name)].map(quoted),
    ...xs.map((x) => [x, ...columns.map((column) => column.get(x) ?? '')].map(String)),
  ];
  save(new Blob([lines.map((line) => line.join(',')).join('\n'), '\n'], { type: 'text/csv' }), name);
}

export function saveText(content: string, name: string, type: string): void {
  save(new Blob([content], { type }), name);
}

function quoted(cell: string): string {
  return /[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const anchor = Object.assign(document.createElement('a'), { href: url, download: name });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
