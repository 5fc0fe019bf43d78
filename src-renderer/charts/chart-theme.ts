import type { Chart } from 'chart.js';

/** What a variable of the theme is at the moment. */
export function themeColours(): (variable: string) => string {
  const style = getComputedStyle(document.documentElement);
  return (variable) => style.getPropertyValue(variable).trim();
}

/** Gives a chart's axes and legend the theme's colours. */
export function paintFrame(chart: Pick<Chart, 'options'>, colour: (variable: string) => string): void {
  const { x, y } = chart.options.scales!;
  for (const scale of [x!, y!]) {
    scale.grid = { color: colour('--line') };
    scale.ticks!.color = colour('--text-quiet');
  }
  chart.options.plugins!.legend!.labels!.color = colour('--text');
}
