/**
 * A client of fulfilld in one file: copy it into your project. Node 18 or newer, its own modules alone.
 *
 *     const erp = new Client(); // $FULFILLD_SOCKET, or $FULFILLD_URL with $FULFILLD_TOKEN
 *     await erp.submit("acme", "67890", { state: "shipped" }, "delivery-note-4711");
 *     for await (const event of erp.consume("erp")) {
 *       // acknowledged when the loop asks for the next one
 *     }
 *
 * Answers are the daemon's JSON as it comes (docs/api.md, `/openapi.json`); ignore members that you do not know. Errors
 * are `Problem` (the daemon said no; decide by `code`) and `Unreachable` (nobody knows what it did).
 */

import http from "node:http";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

/** How long an answer may take beyond what the daemon was asked to wait: it may have to read from a platform. */
const CALL_SECONDS = 90;
const FIRST_PAUSE_SECONDS = 0.5;
const LONGEST_PAUSE_SECONDS = 30;

/** There was no answer, or only a part of one: what was asked for may have been done or not. */
export class Unreachable extends Error {
  name = "Unreachable";
}

/** The daemon's refusal. `code` is its `type`, a stable word; `body` has all members (`allowed`, `errors`, `reason`). */
export class Problem extends Error {
  name = "Problem";

  constructor(status, body, retryAfterSeconds = null) {
    const code = body.type ?? `http-${status}`;
    super(`${code}: ${body.detail ?? body.title ?? "no details"}`);
    Object.assign(this, { status, body, code, retryAfterSeconds });
  }

  /** Whether the same call would be refused again; otherwise it is to be made again later. */
  get isFinal() {
    return this.status < 500;
  }
}

/** A path of the API from its segments, whatever characters an id has. */
export function pathOf(...segments) {
  return "/v1/" + segments.map((segment) => encodeURIComponent(String(segment))).join("/");
}

export class Client {
  #place;
  #token;
  #warn;

  /**
   * One daemon, by its socket or URL; without either by the environment.
   *
   * `warn` is given a sentence before each further try.
   */
  constructor({ socket, url, token, warn = console.warn } = {}) {
    if (!socket && !url) {
      socket = process.env.FULFILLD_SOCKET;
      url = process.env.FULFILLD_URL;
    }
    if (!socket && !url) {
      throw new TypeError("no address of the daemon; set FULFILLD_SOCKET, or FULFILLD_URL and FULFILLD_TOKEN");
    }
    this.#place = socket ? { socketPath: socket, host: "localhost" } : new URL(url);
    this.#token = socket ? null : token ?? process.env.FULFILLD_TOKEN;
    this.#warn = warn;
  }

  /**
   * Submits a target and answers with it.
   *
   * `key`: the number of what the ERP booked, such as its delivery note; it is what makes a repetition harmless, so keep
   * it with the target before this is called. An answer that is lost and a 503 have the same key sent again until the
   * patience ends; the last error is thrown then, and the same key is right later, too.
   */
  submit(shop, order, target, key, { waitSeconds, patienceSeconds } = {}) {
    const path = pathOf("shops", shop, "orders", order, "targets");
    return this.insist("POST", path, { query: { wait: waitSeconds }, body: target, key, patienceSeconds });
  }

  /** A target; waits until it is reached, blocked or ended, at most so long. */
  target(target, { waitSeconds } = {}) {
    return this.call("GET", pathOf("targets", target), { query: { wait: waitSeconds } });
  }

  /** An order, with `payload`, `content` or `timeline` if you like. */
  order(shop, order, { include = [] } = {}) {
    return this.call("GET", pathOf("shops", shop, "orders", order), { query: { include: include.join(",") } });
  }

  /** All orders that the filters of `GET /v1/orders` let through, page by page. */
  async *orders(filters = {}) {
    let after = filters.after;
    do {
      const page = await this.call("GET", pathOf("orders"), { query: { ...filters, after } });
      yield* page.orders;
      after = page.next;
    } while (after !== null);
  }

  /**
   * The events for a consumer whose cursor the daemon keeps.
   *
   * An event is acknowledged when the next one is asked for; who leaves the loop or dies before gets it again, so handle
   * each by a key of its own. A daemon that is away is waited for. `isEndless` false ends as soon as nothing is left, for
   * programs that are started again and again.
   */
  async *consume(name, { types = [], shop, include = [], limit = 100, waitSeconds = 60, isEndless = true } = {}) {
    const query = { type: types.join(","), shop, include: include.join(","), limit, wait: isEndless ? waitSeconds : undefined };
    let passed = null;
    const pass = async (cursor, feed) => {
      await this.ack(name, cursor, { feed, patienceSeconds: Infinity });
      passed = cursor;
    };
    for (;;) {
      const path = pathOf("consumers", name, "events");
      const page = await this.insist("GET", path, { query, patienceSeconds: Infinity });
      try {
        for (const event of page.events) {
          yield event;
          await pass(event.cursor, page.feed);
        }
        if (page.next !== passed) await pass(page.next, page.feed); // filters left events out
      } catch (error) {
        // the store was restored meanwhile: go on where its cursor is
        if (!(error instanceof Problem && error.code === "cursor-ahead")) throw error;
      }
      if (page.events.length === 0 && !isEndless) return;
    }
  }

  /** Acknowledges all events up to a cursor. */
  ack(name, cursor, { feed, patienceSeconds } = {}) {
    return this.insist("POST", pathOf("consumers", name, "ack"), { body: { cursor, feed }, patienceSeconds });
  }

  /** Has a consumer go on behind a cursor, back as well as forward; 0 is the beginning. */
  seek(name, cursor) {
    return this.insist("POST", pathOf("consumers", name, "seek"), { body: { cursor } });
  }

  /** `call`, made again while the daemon is away or busy: for reads, and for what has a key or may be repeated. */
  async insist(method, path, { patienceSeconds = 60, ...parts } = {}) {
    const until = performance.now() + patienceSeconds * 1000;
    for (let pause = FIRST_PAUSE_SECONDS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_SECONDS)) {
      try {
        return await this.call(method, path, parts);
      } catch (error) {
        const isOver = !(error instanceof Unreachable) && !(error instanceof Problem && !error.isFinal);
        const seconds = error.retryAfterSeconds ?? pause;
        if (isOver || performance.now() + seconds * 1000 > until) throw error;
        this.#warn(`${error.message}; again in ${seconds} s`);
        await sleep(seconds * 1000);
      }
    }
  }

  /** One call, once, and the JSON that it is answered with: for all that has no method here. */
  async call(method, path, { query = {}, body, key } = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
    const data = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = { Accept: "application/json" };
    if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
    if (key !== undefined) headers["Idempotency-Key"] = key;
    if (data !== undefined) Object.assign(headers, { "Content-Type": "application/json", "Content-Length": data.length });
    else if (method !== "GET") headers["Content-Length"] = 0;
    const search = given.length ? "?" + new URLSearchParams(given) : "";
    const milliseconds = (CALL_SECONDS + Number(query.wait ?? 0)) * 1000;
    const [response, text] = await this.#exchange({ method, headers }, path + search, data, milliseconds);
    return answerOf(response, text);
  }

  #exchange(options, target, data, milliseconds) {
    const place = this.#place;
    const isUrl = place instanceof URL;
    const where = isUrl
      ? { protocol: place.protocol, hostname: place.hostname.replace(/^\[|\]$/g, ""), port: place.port }
      : place;
    const path = (isUrl ? place.pathname.replace(/\/$/, "") : "") + target;
    return new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(milliseconds);
      const fail = (error) => reject(new Unreachable(`no answer from the daemon: ${error.message}`, { cause: error }));
      const request = (isUrl && place.protocol === "https:" ? https : http).request(
        { ...where, ...options, path, signal, agent: false },
        (response) => {
          const pieces = [];
          response.on("data", (piece) => pieces.push(piece));
          response.on("error", fail);
          response.on("end", () => resolve([response, Buffer.concat(pieces).toString("utf8")]));
        },
      );
      request.on("error", fail);
      request.end(data);
    });
  }
}

/** The JSON of an answer. Throws Problem for a refusal, Unreachable when it is not the daemon's. */
function answerOf(response, text) {
  const isRefused = response.statusCode >= 300;
  let body = null;
  try {
    body = text === "" ? null : JSON.parse(text);
  } catch (error) {
    if (!isRefused) throw new Unreachable("the daemon's answer is not JSON", { cause: error });
  }
  if (isRefused) {
    const seconds = /^\d+$/.test(response.headers["retry-after"] ?? "") ? Number(response.headers["retry-after"]) : null;
    const known = body !== null && typeof body === "object" ? body : { detail: response.statusMessage };
    throw new Problem(response.statusCode, known, seconds);
  }
  return body;
}
