'use strict';
/*
 * The real Vendure, in memory, for tests. It says {"port": …} on one line once it serves, and reaches for no network.
 *
 * Over standard input it takes what no API of Vendure does, one JSON object a line, `{"do": …}` as in TAKEN, and answers
 * each on a line. It ends when that input is closed, so it does not outlive whoever started it, not even one that was
 * killed.
 */
const { createInterface } = require('node:readline');
const { bootstrap, ChannelService, Order, SessionService, TransactionalConnection, User } = require('@vendure/core');
const { config } = require('./config');
const { populate, superadmin } = require('./goods');

const say = words => console.log(JSON.stringify(words));
const rows = (app, entity) => app.get(TransactionalConnection).rawConnection.getRepository(entity);

const TAKEN = {
    /** No order can be deleted once it is placed, but a plug-in may take it out of its channel. */
    async remove_order(app, { order }) {
        const { channels } = await rows(app, Order).findOneOrFail({ where: { id: order }, relations: ['channels'] });
        const ids = channels.map(channel => channel.id);
        await app.get(ChannelService).removeFromChannels(await superadmin(app), Order, order, ids);
        return {};
    },
    /** A new password leaves an administrator's sessions as they are; a revoked account has none. */
    async end_sessions(app, { username }) {
        const user = await rows(app, User).findOneOrFail({ where: { identifier: username } });
        await app.get(SessionService).deleteSessionsByUser(await superadmin(app), user);
        return {};
    },
    /** GraphQL cannot show the order any more, and no list that it is in. */
    async spoil_order(app, { order }) {
        await rows(app, Order).update(order, { currencyCode: 'none' });
        return {};
    },
    /** Orders become older: the last is as old as they are apart. */
    async backdate(app, { orders, seconds_apart }) {
        for (const [n, id] of orders.entries()) {
            const at = new Date(Date.now() - (orders.length - n) * seconds_apart * 1000);
            await rows(app, Order).update(id, { createdAt: at, updatedAt: at, orderPlacedAt: at });
            await rows(app, 'OrderHistoryEntry').update({ order: { id } }, { createdAt: at });
        }
        return {};
    },
    /** The order of a line, a payment or a fulfillment, which mutations name by its own id alone. */
    async order_of(app, { what, id }) {
        const found = await rows(app, Order).findOne({ where: { [what]: { id } }, relations: [what] });
        return { order: found === null ? null : String(found.id) };
    },
};

/** SQLite's clock has whole seconds, those of PostgreSQL and MySQL, on which shops run, do not. */
function refineClock(app) {
    const database = app.get(TransactionalConnection).rawConnection.driver.databaseConnection;
    const now = () => new Date().toISOString().replace('T', ' ').replace('Z', '');
    database.create_function('current_timestamp', () => now()); // how TypeORM dates changes
    database.create_function('datetime', _ => now()); // and what is new: datetime('now'), its only use
}

async function main() {
    const app = await bootstrap(config);
    refineClock(app);
    await populate(app);
    say({ port: app.getHttpServer().address().port });
    for await (const line of createInterface({ input: process.stdin })) {
        const asked = JSON.parse(line);
        await TAKEN[asked.do](app, asked).then(say, error => say({ error: String(error) }));
    }
    process.exit(0);
}

main().catch(error => {
    console.error(error);
    process.exit(1);
});
process.stdin.on('close', () => process.exit(0));
