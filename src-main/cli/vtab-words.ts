/** The protocol's outcome as tables in the papers' layout: methods down, tasks across, published figures below our own. */
import { settingInWords } from '../studio/runs.ts';
import { PUBLISHED, SOURCES, type PublishedRow } from '../studio/vtab/published.ts';
import type { TaskResult } from '../studio/vtab/records.ts';
import type { VtabAnswer } from '../studio/vtab/run-vtab.ts';
import { GROUPS, VTAB_TASKS, vtabTaskOf } from '../studio/vtab/tasks.ts';
import { byteSize, duration, grouped, table } from './format.ts';

const HERE = 'here';

/** All that `vtab` says at its end. */
export function describeVtab({ methods, results, means }: VtabAnswer): string {
  const tasks = [...new Set(results.map(({ task }) => task))];
  const ofGroup = (group: string | undefined) => tasks.filter((task) => vtabTaskOf(task)?.group === group);
  const sections = [...GROUPS, undefined].flatMap((group) => {
    const own = ofGroup(group);
    if (own.length === 0) return [];
    return [`${group ?? 'other sets'}, top-1 on test in %\n${groupTable(own, methods, results)}`];
  });
  return [
    ...sections,
    `over all\n${overallTable(methods, results, means)}`,
    `chosen on val200\n${choiceTable(results)}`,
    notes(results),
  ].join('\n\n');
}

function groupTable(
  tasks: readonly string[],
  methods: readonly TaskResult['method'][],
  results: readonly TaskResult[],
): string {
  const published = PUBLISHED.filter((row) => tasks.some((task) => publishedScore(row, task) !== undefined));
  return table(
    ['METHOD', 'SOURCE', ...tasks.map((task) => `${vtabTaskOf(task)?.heading ?? task}>`)],
    [
      ...methods.map((method) => [
        method,
        HERE,
        ...tasks.map((task) => fraction(results.find((each) => each.task === task && each.method === method)?.top1)),
      ]),
      ...published.map((row) => [row.method, sourceOf(row), ...tasks.map((task) => points(publishedScore(row, task)))]),
    ],
  );
}

function publishedScore({ tasks }: PublishedRow, task: string): number | undefined {
  const known = vtabTaskOf(task);
  return known && tasks?.[known.folder];
}

/**
 * Our own means stand in a column of the number of tasks that they are of: until that is 19, no published figure is in
 * that column.
 */
function overallTable(
  methods: readonly TaskResult['method'][],
  results: readonly TaskResult[],
  means: VtabAnswer['means'],
): string {
  const count = means[methods[0]!]?.tasks ?? 0;
  const complete = means[methods[0]!]?.groupMean != null;
  const own = methods.map((method) => {
    const mine = results.filter((each) => each.method === method);
    const mean = means[method];
    return [
      method,
      HERE,
      ...(complete ? [] : [fraction(mean?.taskMean)]),
      ...GROUPS.map((group) => fraction(mean?.[group])),
      fraction(mean?.groupMean),
      complete ? fraction(mean?.taskMean) : '-',
      parameterCount(mine),
      mine.length === 0 ? '-' : byteSize(Math.max(...mine.map(({ peakRssBytes }) => peakRssBytes))),
      duration(mine.reduce((sum, { seconds }) => sum + seconds, 0)),
    ];
  });
  const published = PUBLISHED.map((row) => [
    row.method,
    sourceOf(row),
    ...(complete ? [] : ['-']),
    ...GROUPS.map((group) => points(row[group])),
    points(row.groupMean),
    points(row.taskMean),
    !row.parameters ? '-' : grouped(Math.round(row.parameters * 1e6)),
    row.memory === undefined ? '-' : `${row.memory.toFixed(1)} GB GPU`,
    '-',
  ]);
  return table(
    [
      'METHOD',
      'SOURCE',
      ...(complete ? [] : [`MEAN OF ${count}>`]),
      'NATURAL>',
      'SPECIALIZED>',
      'STRUCTURED>',
      'MEAN OF GROUPS>',
      `MEAN OF ${VTAB_TASKS.length}>`,
      'PARAMETERS>',
      'PEAK MEMORY>',
      'TIME>',
    ],
    [...own, ...published],
  );
}

/** Without the heads, whose size is the task's: the mean, as tasks may have chosen differently. */
function parameterCount(results: readonly TaskResult[]): string {
  const sum = results.reduce((all, { parameters }) => all + parameters, 0);
  return sum === 0 ? '-' : grouped(Math.round(sum / results.length));
}

function choiceTable(results: readonly TaskResult[]): string {
  return table(
    ['TASK', 'METHOD', 'TRIALS>', 'VAL>', 'TEST>', 'SETTINGS', 'PARAMETERS>', 'HEAD>', 'PEAK MEMORY>', 'TIME>', 'RUN'],
    results.map((result) => [
      result.task,
      result.method,
      String(result.trials),
      fraction(result.val),
      fraction(result.top1),
      Object.entries(result.chosen)
        .map(([name, value]) => `${settingInWords(name)} ${value}`)
        .join(', '),
      result.parameters === 0 ? '-' : grouped(result.parameters),
      grouped(result.headParameters),
      byteSize(result.peakRssBytes),
      duration(result.seconds),
      result.run,
    ]),
  );
}

function notes(results: readonly TaskResult[]): string {
  const otherwise = [...new Map(results.map((result) => [result.task, result])).values()].flatMap(
    ({ task, classes, testImages }) => {
      const known = vtabTaskOf(task);
      if (!known || (known.classes === classes && Math.abs(known.test - testImages) <= 1)) return [];
      return [
        `${task} is not VTAB-1K's: ${grouped(testImages)} test images in ${classes} classes here, ${grouped(known.test)} in ${known.classes} there.`,
      ];
    },
  );
  return [
    'Trained on train800, settings chosen on val200, trained again on the 1,000, test read once. Parameters without the head, the mean over tasks; peak memory of any process.',
    `Published figures are of ViT-B/16 (ImageNet-21k) and the whole of VTAB-1K: they tell what others reach, not what this backbone could.`,
    ...Object.entries(SOURCES).map(([mark, words]) => `(${mark}) ${words}.`),
    ...otherwise,
  ].join('\n');
}

function sourceOf({ source }: PublishedRow): string {
  return `published (${source})`;
}

/** Of a fraction. */
function fraction(value: number | null | undefined): string {
  return value == null ? '-' : points(100 * value);
}

/** Of percent. */
function points(value: number | undefined): string {
  return value === undefined ? '-' : value.toFixed(1);
}
