import { Entity, Index, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { Store } from './store';
import { User } from './user';

/** A user follows a user or a store: the target of `followersCount` is chosen per row. */
@Entity()
@Index(['followedType', 'followedId'])
@CounterCache<Follow, User>({ relation: 'follower', column: 'followingCount' })
@CounterCache<Follow, User | Store>({
  polymorphic: { id: 'followedId', type: 'followedType', targets: () => ({ User, Store }) },
  column: 'followersCount',
})
export class Follow {
  @ManyToOne(() => User, { nullable: false })
  follower!: Relation<User>;

  @PrimaryColumn()
  followerId!: number;

  @PrimaryColumn('text')
  followedType!: 'User' | 'Store';

  @PrimaryColumn()
  followedId!: number;
}
