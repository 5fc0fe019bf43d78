// `npm run check`: the linter beside the other checks, so that two cores are busy. What each has to say comes when it
// ends; any that fails is the exit status.
import { spawn } from 'node:child_process';

/** Scripts of package.json, in two rows that take about as long. */
const rows = [['check:lint'], ['check:format', 'check:types', 'check:svelte']];

/** Runs a script of package.json. @returns whether it succeeded */
function run(script) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [process.env.npm_execpath, 'run', '--silent', script]);
    const said = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => said.push(text));
    child.on('close', (code) => {
      process.stdout.write(Buffer.concat(said));
      if (code !== 0) process.stdout.write(`${script} failed.\n`);
      resolve(code === 0);
    });
  });
}

const passed = await Promise.all(
  rows.map(async (scripts) => {
    let all = true;
    for (const script of scripts) all = (await run(script)) && all;
    return all;
  }),
);
if (passed.includes(false)) process.exitCode = 1;
