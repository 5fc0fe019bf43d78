/**
 * The Markdown that cards are written in, taken apart: headings, paragraphs, tables, code. What comes out is text and
 * never markup, so that nothing in a card can do more than be read.
 */
export type Span = { kind: 'text' | 'code' | 'strong'; text: string };

export type Block =
  | { kind: 'heading'; level: number; spans: Span[] }
  | { kind: 'paragraph'; spans: Span[] }
  | { kind: 'code'; language: string; text: string }
  | { kind: 'table'; head: Span[][]; rows: Span[][][] };

export function parseMarkdown(source: string): Block[] {
  const lines = source.replaceAll('\r\n', '\n').split('\n');
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at]!;
    const heading = /^(#{1,6}) (.*)$/.exec(line);
    if (line.trim() === '') at++;
    else if (line.startsWith('```')) {
      const end = lines.findIndex((each, index) => index > at && each.startsWith('```'));
      const until = end < 0 ? lines.length : end;
      blocks.push({ kind: 'code', language: line.slice(3).trim(), text: lines.slice(at + 1, until).join('\n') });
      at = until + 1;
    } else if (heading) {
      blocks.push({ kind: 'heading', level: heading[1]!.length, spans: parseSpans(heading[2]!) });
      at++;
    } else if (line.startsWith('|') && /^\|[\s:|-]+\|$/.test(lines[at + 1]?.trim() ?? '')) {
      const rows: Span[][][] = [];
      const head = cellsOf(line);
      for (at += 2; lines[at]?.startsWith('|'); at++) rows.push(cellsOf(lines[at]!));
      blocks.push({ kind: 'table', head, rows });
    } else {
      const first = at;
      while (at < lines.length && lines[at]!.trim() !== '' && !/^(#{1,6} |```)/.test(lines[at]!)) at++;
      blocks.push({ kind: 'paragraph', spans: parseSpans(lines.slice(first, at).join(' ')) });
    }
  }
  return blocks;
}

/** The programs of a language in a text, each with the heading that it stands under. */
export function programsIn(blocks: readonly Block[], language: string): { under: string; text: string }[] {
  const programs: { under: string; text: string }[] = [];
  let under = '';
  for (const block of blocks) {
    if (block.kind === 'heading') under = block.spans.map(({ text }) => text).join('');
    if (block.kind === 'code' && block.language === language) programs.push({ under, text: block.text });
  }
  return programs;
}

function cellsOf(line: string): Span[][] {
  return line
    .trim()
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => parseSpans(cell.trim()));
}

function parseSpans(source: string): Span[] {
  const spans: Span[] = [];
  let rest = '';
  const flush = () => {
    if (rest !== '') spans.push({ kind: 'text', text: rest });
    rest = '';
  };
  for (const [part, escaped, code, strong] of source.matchAll(/\\([\\`*_[\]<>|])|`([^`]+)`|\*\*([^*]+)\*\*|[\s\S]/g)) {
    if (code !== undefined || strong !== undefined) {
      flush();
      spans.push(code !== undefined ? { kind: 'code', text: code } : { kind: 'strong', text: strong! });
    } else rest += escaped ?? part;
  }
  flush();
  return spans;
}
