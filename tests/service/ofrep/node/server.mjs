// Asks a service through the released server SDK; questions come as JSON in the first argument.
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.MODULES}/`);
const { OpenFeature } = require('@openfeature/server-sdk');
const { OFREPProvider } = require('@openfeature/ofrep-provider');

await OpenFeature.setProviderAndWait(
  new OFREPProvider({ baseUrl: process.env.URL, headers: JSON.parse(process.env.HEADERS) }),
);
const client = OpenFeature.getClient();
const ask = {
  boolean: (...given) => client.getBooleanDetails(...given),
  string: (...given) => client.getStringDetails(...given),
  number: (...given) => client.getNumberDetails(...given),
  object: (...given) => client.getObjectDetails(...given),
};
const answers = [];
for (const { type, flag, fallback, context } of JSON.parse(process.argv[2])) {
  answers.push(await ask[type](flag, fallback, context));
}
console.log(JSON.stringify(answers));
