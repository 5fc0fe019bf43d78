const start = String.raw`(?:file:\/\/)?(?:~[\\/]|[\\/]|[A-Za-z]:[\\/])`;
const quotedPath = new RegExp(String.raw`(["'\`])(${start}[^"'\`\n]+)\1`, 'g');
const barePath = new RegExp(String.raw`(^|[\s(=,[])(${start}[^\s"'\`()<>,]+)`, 'gm');

/**
 * Takes paths out of a text that will be shown to strangers: names of people, projects and files. The program's own
 * files stay, as they tell where an error came about; of every other path its ending stays.
 * @param program folder of the program
 */
export function withoutPaths(text: string, program: string): string {
  const own = slashed(program).replace(/\/$/, '');
  const hide = (path: string): string => {
    const plain = slashed(path);
    if (plain.startsWith(`${own}/`)) return `<sidetune>${plain.slice(own.length)}`;
    return `<path>${/\.[A-Za-z0-9]{1,12}$/.exec(plain)?.[0] ?? ''}`;
  };
  return (
    text
      // JSON doubles backslashes.
      .replaceAll(/\\+/g, '\\')
      .replaceAll(quotedPath, (_, quote: string, path: string) => quote + hide(path) + quote)
      .replaceAll(barePath, (_, before: string, found: string) => {
        const [, path = found, place = ''] = /^(.*?)((?::\d+){0,2}[:;.]?)$/.exec(found) ?? [];
        return before + hide(path) + place;
      })
  );
}

function slashed(path: string): string {
  return path.replace(/^file:\/\/(?=\/)/, '').replaceAll('\\', '/');
}
