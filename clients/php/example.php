<?php

declare(strict_types=1);

// The smallest ERP: books what is ordered, ships it in one box, and prints what became of it.
//
//     FULFILLD_SOCKET=fulfilld.sock php example.php [COUNT]
//
// ends after so many orders, for 0 when no event is left; without a count it never does. What it has done before it may
// do again: the keys are those of its own documents, so nothing happens twice.

require __DIR__ . '/Fulfilld.php';

use Fulfilld\{Client, Problem};

/** Does what an event calls for; whether that was the last of its order. */
function handle(Client $erp, array $event): bool
{
    ['shop' => $shop, 'order' => $order] = $event;
    try {
        if ($event['type'] === 'order.imported') {
            $erp->submit($shop, $order, ['state' => 'accepted'], "sale-{$shop}-{$order}");
            $parcel = ['number' => "B-{$order}", 'carrier' => 'DHL', 'tracking' => ["3S{$order}"]];
            $erp->submit($shop, $order, ['state' => 'shipped', 'parcel' => $parcel], "box-{$shop}-{$order}");
            return false;
        }
        $target = $erp->target($event['target']);
        if ($target['milestone'] !== 'shipped') {
            return false;
        }
        echo "{$shop} {$order} {$target['status']}\n";
    } catch (Problem $problem) {
        if (!$problem->isFinal()) {
            throw $problem;
        }
        echo "{$shop} {$order} refused {$problem->code()}\n";
    }
    return true;
}

$erp = new Client();
$most = (float) ($argv[1] ?? INF);
$ended = 0;
$types = ['order.imported', 'target.reached', 'target.failed'];
foreach ($erp->consume('erp', $types, isEndless: $most > 0) as $event) {
    $ended += (int) handle($erp, $event);
    if ($most > 0 && $ended >= $most) {
        break;
    }
}
