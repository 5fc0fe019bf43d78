// usage: node .ci/totals.mjs REPORT STATUS
// Prints `N passed, N failed, N skipped` from vitest's JSON report as the last line; exits with STATUS, the exit status
// of the test command, or with 1 where the report tells of failures (or of no test at all) and the status does not.
import { existsSync, readFileSync } from 'node:fs';

const [file, status] = [process.argv[2], Number(process.argv[3])];

/** Totals of a report; a file that fails before its first test counts as one failure, or it would not be seen. */
function totals(report) {
  const broken = report.testResults.filter(
    (result) => result.status === 'failed' && !result.assertionResults.some((test) => test.status === 'failed'),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

const written = existsSync(file);
if (!written) console.log('No test ran: formatting, lint or types failed above.');
const { passed, failed, skipped } = written
  ? totals(JSON.parse(readFileSync(file, 'utf8')))
  : { passed: 0, failed: 0, skipped: 0 };
process.exitCode = status !== 0 ? status : failed > 0 || passed === 0 ? 1 : 0;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
