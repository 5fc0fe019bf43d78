/** The command line: all commands and what holds for each of them. */
import { Command, CommanderError } from 'commander';
import { ownVersion } from '../base/version.ts';
import { addApplyCommands } from './commands/apply.ts';
import { addBackboneCommands } from './commands/backbones.ts';
import { addDatasetCommands } from './commands/datasets.ts';
import { addDemoCommand } from './commands/demo.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addEdgeCommands } from './commands/edge.ts';
import { addExportCommand } from './commands/export.ts';
import { addFeatureCommands } from './commands/features.ts';
import { addRunCommands } from './commands/runs.ts';
import { addServeCommand } from './commands/serve.ts';
import { addSweepCommand } from './commands/sweep.ts';
import { addTrainCommand } from './commands/train.ts';
import { addVtabCommand } from './commands/vtab.ts';
import type { Session } from './session.ts';

/** Builds the commands; parsing throws CommanderError for a wrong command line and never ends the process. */
export function buildProgram(session: (program: Command) => Session): Command {
  const program = new Command('sidetune')
    .description('Fine-tune image classifiers by side-tuning a frozen Vision Transformer (LAST, MIET).')
    .version(ownVersion())
    .option('--workspace <dir>', 'where everything is kept (default: SIDETUNE_HOME, else ~/Sidetune)')
    .option('--json', 'print one JSON object as the last line; progress goes to stderr')
    .exitOverride()
    // Errors are said once, by whoever catches them.
    .configureOutput({ outputError: () => undefined });
  const current = session(program);
  addDemoCommand(program, current);
  addDatasetCommands(program, current);
  addBackboneCommands(program, current);
  addFeatureCommands(program, current);
  addTrainCommand(program, current);
  addSweepCommand(program, current);
  addVtabCommand(program, current);
  addApplyCommands(program, current);
  addRunCommands(program, current);
  addExportCommand(program, current);
  addServeCommand(program, current);
  addEdgeCommands(program, current);
  addDoctorCommand(program, current);
  sayUsage(program);
  return program;
}

/** Wrong usage that the command's own form explains. */
const OF_THE_FORM = ['missingArgument', 'excessArguments', 'missingMandatoryOptionValue'].map(
  (code) => `commander.${code}`,
);

/** Has each command say how it is used where words are missing or too many. */
function sayUsage(command: Command, parents = ''): void {
  const name = `${parents}${command.name()}`;
  command.exitOverride((error) => {
    if (!OF_THE_FORM.includes(error.code)) throw error;
    const required = command.options.flatMap(({ mandatory, flags }) => (mandatory ? [`${flags} `] : [])).join('');
    const usage = command.usage().replace('[options] ', `[options] ${required}`);
    throw new CommanderError(error.exitCode, error.code, `${error.message}: it is used as ${name} ${usage}`);
  });
  for (const each of command.commands) sayUsage(each, `${name} `);
}
