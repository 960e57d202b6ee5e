// Asks a service through the released web SDK. Prints a line of JSON at the start, after the same context again,
// and after each change that it hears of; ends with its standard input.
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.MODULES}/`);
globalThis.EventSource = require('eventsource').EventSource; // as browsers have it
const { OpenFeature, ProviderEvents } = require('@openfeature/web-sdk');
const { OFREPWebProvider } = require('@openfeature/ofrep-web-provider');

const context = JSON.parse(process.env.CONTEXT);
const questions = JSON.parse(process.argv[2]);
const statuses = [];
const provider = new OFREPWebProvider({
  baseUrl: process.env.URL,
  headers: JSON.parse(process.env.HEADERS),
  fetchImplementation: async (request) => {
    const answer = await fetch(request);
    statuses.push(answer.status);
    return answer;
  },
});

const client = OpenFeature.getClient();
const ask = {
  boolean: (...given) => client.getBooleanDetails(...given),
  string: (...given) => client.getStringDetails(...given),
  number: (...given) => client.getNumberDetails(...given),
  object: (...given) => client.getObjectDetails(...given),
};
const tell = (event) => {
  const answers = questions.map(({ type, flag, fallback }) => ask[type](flag, fallback));
  console.log(JSON.stringify({ event, answers, statuses: statuses.splice(0) }));
};

await OpenFeature.setContext(context);
try {
  await OpenFeature.setProviderAndWait(provider);
} catch (error) {
  console.log(JSON.stringify({ event: 'failed', message: String(error), statuses }));
  process.exit(0);
}
tell('ready');
await OpenFeature.setContext({ ...context });
tell('again');
client.addHandler(ProviderEvents.ConfigurationChanged, () => tell('changed'));
process.stdin.resume();
process.stdin.on('end', async () => {
  await OpenFeature.close();
  process.exit(0);
});
