#!/usr/bin/env bash
# A good guess: a mutation of Vendure that answers with an error result has done nothing. Each runs in a transaction of its
# own, and what is refused comes back as a member of the result's union with an errorCode.
#
# What happens (npm @vendure/core 3.7.3, sql.js 1.14.2): `cancelOrder` of an order that somebody is just modifying answers
# OrderStateTransitionError ("Cannot transition Order from "Modifying" to "Cancelled""), and has cancelled it all the same:
# every line has quantity 0, the total is what shipping costs, and the history has an ORDER_CANCELLATION. An error result
# is returned and not thrown, so the transaction commits what was done before the transition was refused.
#
# Why it matters to people who sync orders: a program that cancels for an ERP reads the answer as "not cancelled, try again
# later" or tells the ERP that the order still stands, while the warehouse sees nothing left to pack and no refund was made.
# The order has to be read before each cancellation, and again after each refusal; its lines, not its state, tell the truth.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @vendure/core@3.7.3 sql.js@1.14.2 >/dev/null
cat > try.js <<'JS'
const assert = require('node:assert');
const { bootstrap, LanguageCode, PaymentMethodHandler, Populator, VENDURE_VERSION } = require('@vendure/core');

const paid = new PaymentMethodHandler({
    code: 'paid',
    description: [{ languageCode: LanguageCode.en, value: 'Paid at once' }],
    args: {},
    createPayment: (ctx, order, amount) => ({ amount, state: 'Settled' }),
    settlePayment: () => ({ success: true }),
});
const quiet = { error: console.error, warn() {}, info() {}, verbose() {}, debug() {} };

async function main() {
    const app = await bootstrap({
        logger: quiet,
        apiOptions: { hostname: '127.0.0.1', port: 0 },
        authOptions: { tokenMethod: 'bearer' },
        dbConnectionOptions: { type: 'sqljs', synchronize: true, logging: false },
        paymentOptions: { paymentMethodHandlers: [paid] },
    });
    await app.get(Populator).populateInitialData({
        defaultLanguage: 'en',
        defaultZone: 'Europe',
        countries: [{ name: 'Germany', code: 'DE', zone: 'Europe' }],
        taxRates: [{ name: 'Standard', percentage: 19 }],
        shippingMethods: [{ name: 'Courier', price: 500 }],
        paymentMethods: [{ name: 'Paid', handler: { code: 'paid', arguments: [] } }],
        collections: [],
    });
    const address = `http://127.0.0.1:${app.getHttpServer().address().port}`;
    const sessions = {};
    async function ask(api, query) {
        const headers = { 'content-type': 'application/json' };
        if (sessions[api]) headers.authorization = `Bearer ${sessions[api]}`;
        const answer = await fetch(`${address}/${api}`, { method: 'POST', headers, body: JSON.stringify({ query }) });
        sessions[api] = answer.headers.get('vendure-auth-token') || sessions[api];
        const { data, errors } = await answer.json();
        assert(!errors, JSON.stringify(errors));
        return data;
    }
    await ask('admin-api', 'mutation { login(username: "superadmin", password: "superadmin") { __typename } }');
    await ask('admin-api', `mutation {
        createProduct(input: { translations: [{ languageCode: en, name: "Kettle", slug: "kettle", description: "" }] }) { id }
    }`);
    await ask('admin-api', `mutation { createProductVariants(input: [{
        productId: 1, sku: "KETTLE", price: 1000, stockOnHand: 9, translations: [{ languageCode: en, name: "Kettle" }]
    }]) { id } }`);
    await ask('shop-api', 'mutation { addItemToOrder(productVariantId: 1, quantity: 2) { __typename } }');
    await ask('shop-api', `mutation {
        setCustomerForOrder(input: { firstName: "A", lastName: "B", emailAddress: "a@example.com" }) { __typename }
        setOrderShippingAddress(input: { streetLine1: "Main Street 1", countryCode: "DE" }) { __typename }
        setOrderShippingMethod(shippingMethodId: [1]) { __typename }
        transitionOrderToState(state: "ArrangingPayment") { __typename }
        addPaymentToOrder(input: { method: "paid", metadata: {} }) { __typename }
    }`);
    const look = async () => (await ask('admin-api', `{ order(id: 1) {
        state totalWithTax lines { quantity } payments { refunds { id } }
        history(options: { filter: { type: { eq: "ORDER_CANCELLATION" } } }) { totalItems }
    } }`)).order;
    await ask('admin-api', 'mutation { transitionOrderToState(id: 1, state: "Modifying") { __typename } }');
    const before = await look();
    const { cancelOrder } = await ask('admin-api', `mutation { cancelOrder(input: { orderId: 1, reason: "out of stock" }) {
        __typename ... on OrderStateTransitionError { errorCode transitionError }
    } }`);
    const after = await look();
    console.log('@vendure/core', VENDURE_VERSION);
    console.log('before:', JSON.stringify(before));
    console.log('cancelOrder answers:', JSON.stringify(cancelOrder));
    console.log('after: ', JSON.stringify(after));
    assert.equal(cancelOrder.errorCode, 'ORDER_STATE_TRANSITION_ERROR', 'it is not refused any more');
    assert.equal(before.lines[0].quantity, 2);
    assert.equal(after.lines[0].quantity, 0, 'a refused cancellation changes nothing any more');
    assert.equal(after.state, 'Modifying');
    process.exit(0);
}

main().catch(error => {
    console.error(error);
    process.exit(1);
});
JS
node try.js
