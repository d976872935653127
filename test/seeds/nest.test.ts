// Every sample of the document about webhooks in a Nest app, read from where it lies, compiled as it stands, and run in an app that is
// killed again and again.

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { absence, codeOutside, readDocument } from "./document.ts";
import { dyingAt, nestSamples, places } from "./nest-sample.ts";
import { NestWorkshop, NestWorld, type Platform } from "./nest-world.ts";

/** One more or less is one without a test. */
const count = 5;

const main = `import { serve } from "./app.ts";
import { WebhooksController } from "./callback.ts";
import { CheckoutWorkflow, Quotes, Quoting } from "./checkout.ts";
import { durable } from "./durable.ts";
import { Typed } from "./handle.ts";
import { Minting } from "./minting.ts";

void serve({ durable, providers: [Minting, Typed, CheckoutWorkflow, Quotes, Quoting], controllers: [WebhooksController] });
`;

/** The samples give a transport, one of their runs fails, and one life of the app has no URLs. */
const isExpected =
  /option transport has no effect|^ringback: hook\.url is undefined: |^ringback: run unpaid \(checkout\) failed: FatalError: payment u-1 failed$/;
const isLong = process.env["RINGBACK_LONG"] === "1";

test.skipIf(absence)(`document 003 has a test for each sample${absence === null ? "" : ` (${absence})`}`, () => {
  const texts = nestSamples.map(({ code }) => code());
  expect(texts).toHaveLength(count);
  expect(codeOutside(readDocument("003"), texts)).toEqual([]);
});

describe.skipIf(absence)("compiled as a Nest app,", { timeout: 60_000 }, () => {
  let workshop: NestWorkshop;
  let complaints: string;
  beforeAll(async () => {
    workshop = new NestWorkshop();
    const files = Object.fromEntries(nestSamples.map(({ file, code, around }) => [file, around(code())]));
    complaints = await workshop.build({ files, main });
  });
  afterAll(() => workshop.remove());

  test("every sample type-checks", () => {
    expect(complaints).toBe("");
  });

  describe.each<Platform>(["express", "fastify"])("on %s,", (platform) => {
    let world: NestWorld;
    beforeAll(async () => {
      world = await NestWorld.open(workshop.main(platform), platform, platform === "fastify" && !isLong);
    });
    afterAll(() => world.end());

    test.each(nestSamples)("$what", async ({ play }) => {
      await play(world);
      expect(world.told().filter((line) => !isExpected.test(line))).toEqual([]);
    });

    test.runIf(isLong).each(places)("an order outlives a death at %s", async (place) => {
      const own = await NestWorld.open(workshop.main(platform), platform, false);
      onTestFinished(() => own.end());
      await dyingAt(own, place);
    });
  });
});
