<?php

declare(strict_types=1);

// Prints what the calls of the client answer, and the problems of those that are refused.

require __DIR__ . '/../../../clients/php/Fulfilld.php';

use Fulfilld\{Client, Problem, Unreachable};

$erp = new Client(url: $argv[1]);
$order = 'a/ä 1';
$submitted = $erp->submit('acme', $order, ['state' => 'preparing'], 'k-1');
echo $erp->target($submitted['id'], waitSeconds: 0.01)['status'], "\n";
$orders = iterator_to_array($erp->orders(['shop' => 'acme', 'limit' => 2]), false);
echo implode(', ', array_column($orders, 'id')), "\n";
echo $erp->order('acme', $order, ['timeline'])['timeline'][0]['type'], "\n";
$page = $erp->call('GET', '/v1/consumers/erp/events', ['limit' => 1]);
echo $erp->ack('erp', $page['next'], $page['feed'])['cursor'], "\n";
echo $erp->seek('erp', 0)['cursor'], "\n";
$attempts = [
    fn () => $erp->seek('erp', 10 ** 6),
    fn () => $erp->ack('erp', 1, 'another'),
    fn () => $erp->submit('acme', $order, ['state' => 'shipped'], 'k-1'),
    fn () => $erp->order('nobody', '1'),
];
foreach ($attempts as $attempt) {
    try {
        print_r($attempt());
    } catch (Problem $problem) {
        $isTyped = isset($problem->body['detail']) && $problem->isFinal();
        echo "{$problem->status} {$problem->code()} ", $isTyped ? 'True' : 'False', "\n";
    }
}
try {
    (new Client(socket: 'no.sock'))->call('GET', '/v1/health');
} catch (Unreachable) {
    echo "unreachable\n";
}
echo $erp->call('POST', '/v1/shops/acme/pause', body: [])['name'], "\n";
$path = Client::path('shops', 'acme', 'orders', '1', 'targets');
$planned = $erp->call('POST', $path, ['dry_run' => true], ['state' => 'preparing']);
echo 'planned ', $planned['plan'] !== [] ? 'True' : 'False', "\n";
